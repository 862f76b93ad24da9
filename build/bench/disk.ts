import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import type { Range } from './ranges.ts';

const mebibyte = 1 << 20;
const bufferBytes = 4 * mebibyte;

/** Page-aligned memory, as O_DIRECT wants it: open(2). */
const aligned = () =>
  Buffer.from(new WebAssembly.Memory({ initial: bufferBytes / 65536 }).buffer as ArrayBuffer, 0, bufferBytes);

/** A loop device over a file that the bench made: a disk to write to. */
export class Disk {
  readonly device: string;
  readonly bytes: number;
  /** Whether the loop device goes around the page cache of its file. */
  readonly direct: boolean;
  readonly #file: string;
  readonly #discard: () => void;
  /** Whether parts of the file may have been given back, or not been written yet: such parts are slower. */
  #uneven = true;

  /** Makes `folder`/`name` of `bytes` bytes with all its space taken, and a loop device over it. */
  constructor(folder: string, name: string, bytes: number, direct: boolean, cleanup: Cleanup) {
    this.bytes = bytes;
    this.#file = join(folder, name);
    const remove = cleanup.add(() => rmSync(this.#file, { force: true }));
    closeSync(openSync(this.#file, 'wx', 0o600));
    execFileSync('fallocate', ['--length', String(bytes), this.#file]);
    const args = [`--direct-io=${direct ? 'on' : 'off'}`, '--show', '--find', this.#file];
    this.device = execFileSync('losetup', args, { encoding: 'utf8' }).trim();
    const detach = cleanup.add(() => this.#detach());
    this.direct = this.#loopField('dio') === '1';
    this.#discard = () => {
      detach();
      remove();
    };
  }

  /** Detaches the device and removes its file before the end of the bench. */
  discard(): void {
    this.#discard();
  }

  #detach(): void {
    // Only while it is still ours: a number may have passed to another file.
    if (this.#loopField('backing_file') === this.#file) execFileSync('losetup', ['--detach', this.device]);
  }

  #loopField(name: string): string | null {
    try {
      return readFileSync(`/sys/block/${basename(this.device)}/loop/${name}`, 'utf8').trim();
    } catch {
      return null;
    }
  }

  /** blockdev(8) --flushbufs: writes out and forgets what the page cache holds of the device. */
  flush(): void {
    execFileSync('blockdev', ['--flushbufs', this.device]);
  }

  /** To be called after work that gives parts of the file back, as writing zeros by discarding does. */
  markUneven(): void {
    this.#uneven = true;
  }

  /**
   * Makes the disk one that was written all over with something that is in no image: every block of the file has
   * its place, and what a flash leaves out shows. Does nothing when it is even already, unless `force` is given.
   */
  async condition(signal: AbortSignal, force = false): Promise<void> {
    const stat = statSync(this.#file);
    if (!force && !this.#uneven && stat.blocks * 512 >= this.bytes) return;
    const handle = await open(this.device, constants.O_WRONLY | constants.O_DIRECT);
    try {
      const pattern = aligned().fill('old data');
      for (let at = 0; at < this.bytes; at += pattern.length) {
        signal.throwIfAborted();
        await writeAll(handle, pattern.subarray(0, Math.min(pattern.length, this.bytes - at)), at);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    this.#uneven = false;
  }

  /** The first byte at which the device differs from `image` within `ranges`, or null. */
  async difference(image: string, ranges: readonly Range[], signal: AbortSignal): Promise<number | null> {
    const device = await open(this.device, constants.O_RDONLY | constants.O_DIRECT);
    const file = await open(image, 'r');
    try {
      const [written, wanted] = [aligned(), Buffer.alloc(bufferBytes)];
      for (const { start, end } of ranges) {
        for (let at = start; at < end; at += bufferBytes) {
          signal.throwIfAborted();
          const length = Math.min(bufferBytes, end - at);
          const parts = [written.subarray(0, length), wanted.subarray(0, length)] as const;
          await readAll(device, parts[0], at);
          await readAll(file, parts[1], at);
          if (!parts[0].equals(parts[1])) return at + firstDifference(...parts);
        }
      }
      return null;
    } finally {
      await device.close();
      await file.close();
    }
  }
}

/** Reads a file to its end so that it is in the page cache. */
export async function warm(path: string, signal: AbortSignal): Promise<void> {
  const handle = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(bufferBytes);
    while ((await handle.read(buffer)).bytesRead > 0) signal.throwIfAborted();
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

async function readAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) throw new Error(`it ends at ${position + done}`);
    done += bytesRead;
  }
}

function firstDifference(left: Buffer, right: Buffer): number {
  let at = 0;
  while (at < left.length && left[at] === right[at]) at++;
  return at;
}
