import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { Disk } from './disk.ts';
import { availableMemory } from './machine.ts';
import type { Medium } from './options.ts';

/** statfs(2): f_type of tmpfs. */
const tmpfsMagic = 0x01021994;
const memoryFolder = '/dev/shm';
/** Room at the end of each disk that the image does not fill. */
const spareBytes = 64 << 20;
/** Left to everything else when disks are made in memory or in a folder. */
const reserveBytes = 1 << 30;

const isTmpfs = (folder: string): boolean => statfsSync(folder).type === tmpfsMagic;

/** Bytes that may still be written below `folder`. */
export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize - reserveBytes;
  return isTmpfs(folder) ? Math.min(free, availableMemory() - reserveBytes) : free;
}

/** The disks of one medium: one that stays, and more for work with several targets. */
export class Disks {
  readonly medium: Medium;
  readonly first: Disk;
  readonly #folder: string;
  readonly #cleanup: Cleanup;
  #more: Disk[] = [];

  /** Fails with a sentence where there is no room. `work` is where the disk medium lives. */
  constructor(medium: Medium, work: string | null, imageBytes: number, cleanup: Cleanup) {
    this.medium = medium;
    this.#cleanup = cleanup;
    const parent = medium === 'tmpfs' ? memoryFolder : diskFolder(work);
    if (medium === 'tmpfs' && !isTmpfs(parent)) throw new Error(`${parent} is no tmpfs`);
    const bytes = imageBytes + spareBytes;
    if (freeBytes(parent) < bytes) throw new Error(`${parent} has no room for a disk of ${bytes} bytes`);
    this.#folder = mkdtempSync(join(parent, 'bty-bench-'));
    cleanup.add(() => rmSync(this.#folder, { recursive: true, force: true }));
    this.first = this.#make('disk-1', bytes);
  }

  #make(name: string, bytes: number): Disk {
    // A loop device over tmpfs has no page cache to go around: the file is the page cache.
    return new Disk(this.#folder, name, bytes, this.medium === 'disk', this.#cleanup);
  }

  /** Why there cannot be `count` disks at once, or null. */
  shortage(count: number): string | null {
    const bytes = (count - 1 - this.#more.length) * this.first.bytes;
    return bytes <= 0 || freeBytes(this.#folder) >= bytes
      ? null
      : `needs ${gibibytes(bytes)} GiB more memory`;
  }

  /** The first `count` disks, made where they are not there yet. */
  take(count: number): readonly Disk[] {
    while (this.#more.length < count - 1) {
      this.#more.push(this.#make(`disk-${this.#more.length + 2}`, this.first.bytes));
    }
    return [this.first, ...this.#more].slice(0, count);
  }

  /** Removes all disks but the first, whose memory others need. */
  discardMore(): void {
    for (const disk of this.#more) disk.discard();
    this.#more = [];
  }
}

const gibibytes = (bytes: number) => (bytes / 2 ** 30).toFixed(1);

/** Many systems keep temporary files in memory, which is another medium than a disk. */
export function diskFolder(work: string | null): string {
  if (work !== null) {
    mkdirSync(work, { recursive: true });
    if (isTmpfs(work)) throw new Error(`--work ${work} is in memory (tmpfs); name a folder on a disk`);
    return work;
  }
  const folder = [tmpdir(), '/var/tmp'].find((path) => !isTmpfs(path));
  if (folder === undefined)
    throw new Error('temporary files are kept in memory; name a folder on a disk with --work');
  return folder;
}
