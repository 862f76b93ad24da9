import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { copyFile, type FileHandle, mkdir, open, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { measure, type Pipeline } from './pipeline.ts';
import { missing, needs, type Tool } from './tools.ts';

const mebibyte = 1 << 20;

/** The image as it is, and packed or described in other ways. */
export type Form = 'raw' | 'zst' | 'gz' | 'xz' | 'bz2' | 'qcow2' | 'bmap';

interface Recipe {
  readonly tools: readonly Tool[];
  /** Makes `output` from the raw image. */
  readonly pipeline: (raw: string, output: string) => Pipeline;
}

const into = (output: string) => ['dd', `of=${output}`, 'bs=1M', 'iflag=fullblock', 'status=none'] as const;
const recipes: Readonly<Record<Exclude<Form, 'raw'>, Recipe>> = {
  zst: {
    tools: ['zstd'],
    pipeline: (raw, output) => [['zstd', '-q', '-f', '-3', '-T0', raw, '-o', output]],
  },
  gz: {
    tools: ['pigz', 'dd'],
    pipeline: (raw, output) => [['pigz', '-6', '-c', raw], into(output)],
  },
  // More than one thread makes xz cut the stream into blocks, which can be unpacked side by side.
  xz: {
    tools: ['xz', 'dd'],
    pipeline: (raw, output) => [['xz', '-T2', '-1', '-c', raw], into(output)],
  },
  bz2: {
    tools: ['bzip2', 'dd'],
    pipeline: (raw, output) => [['bzip2', '-c', raw], into(output)],
  },
  qcow2: {
    tools: ['qemu-img'],
    pipeline: (raw, output) => [['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, output]],
  },
  bmap: {
    tools: ['bmaptool'],
    pipeline: (raw, output) => [['bmaptool', '-q', 'create', '-o', output, raw]],
  },
};
const rawTools: readonly Tool[] = ['sfdisk', 'mkfs.ext4', 'mkfs.vfat'];

/** Programs without which `form` cannot be made. */
export const toolsFor = (form: Form): readonly Tool[] => (form === 'raw' ? rawTools : recipes[form].tools);

/** What the image is; a change of it makes another image. */
interface Description {
  readonly version: number;
  readonly mebibytes: number;
  /** The EFI system partition (FAT) begins at 1 MiB, the root file system (ext4) follows it. */
  readonly espMebibytes: number;
  readonly rootMebibytes: number;
  /** Bytes of files from /usr that go into the root file system: half of the image. */
  readonly fileBytes: number;
}

export function describeImage(mebibytes: number): Description {
  const espMebibytes = Math.min(256, Math.floor(mebibytes / 8));
  return {
    version: 1,
    mebibytes,
    espMebibytes,
    // One MiB before the first partition and one for the second partition table at the end.
    rootMebibytes: mebibytes - espMebibytes - 2,
    fileBytes: (mebibytes / 2) * mebibyte,
  };
}

/** Name of the folder in which the forms of an image are kept. */
export function keyOf(description: Description): string {
  const digest = createHash('sha256').update(JSON.stringify(description)).digest('hex');
  return `${description.mebibytes}-${digest.slice(0, 12)}`;
}

/** The forms of one image, each made when it is first asked for and kept for later runs. */
export class Images {
  readonly bytes: number;
  readonly folder: string;
  readonly #description: Description;
  readonly #scratch: string;
  readonly #say: (text: string) => void;
  readonly #signal: AbortSignal;

  /** `scratch` holds the files that go into the image while it is made. */
  constructor(
    cache: string,
    scratch: string,
    mebibytes: number,
    say: (text: string) => void,
    signal: AbortSignal,
  ) {
    this.#description = describeImage(mebibytes);
    this.bytes = mebibytes * mebibyte;
    this.folder = join(cache, keyOf(this.#description));
    this.#scratch = scratch;
    this.#say = say;
    this.#signal = signal;
  }

  path(form: Form): string {
    return join(this.folder, form === 'raw' ? 'disk.img' : `disk.img.${form}`);
  }

  /** Bytes that `form` takes. */
  size(form: Form): number {
    return statSync(this.path(form)).size;
  }

  /** "2171 MiB in use, zst 815 MiB": the forms that are there. */
  summary(): string {
    const there = (['raw', 'zst', 'gz', 'xz', 'bz2', 'qcow2'] as const).filter((form) =>
      existsSync(this.path(form)),
    );
    const told = (bytes: number) => `${(bytes / mebibyte).toFixed(0)} MiB`;
    return there
      .map((form) =>
        form === 'raw'
          ? `${told(statSync(this.path(form)).blocks * 512)} in use`
          : `${form} ${told(this.size(form))}`,
      )
      .join(', ');
  }

  /** Programs that are missing to make `form`; none when it is there already. */
  lacking(form: Form): readonly Tool[] {
    if (existsSync(this.path(form))) return [];
    return [...missing(toolsFor(form)), ...(form === 'raw' ? [] : this.lacking('raw'))];
  }

  /** Makes what is not there yet. Fails when a program that it takes is missing. */
  async make(form: Form): Promise<void> {
    const path = this.path(form);
    if (existsSync(path)) return;
    const lacking = this.lacking(form);
    if (lacking.length > 0) throw new Error(`making ${basename(path)} ${needs(lacking)}`);
    if (form !== 'raw') await this.make('raw');
    mkdirSync(this.folder, { recursive: true });
    const part = `${path}.part`;
    const began = performance.now();
    this.#say(`making ${basename(path)} ...`);
    try {
      if (form === 'raw') await this.#makeRaw(part);
      else await measure([recipes[form].pipeline(this.path('raw'), part)], this.#signal);
      renameSync(part, path);
    } finally {
      rmSync(part, { force: true });
    }
    this.#say(`made ${basename(path)} in ${((performance.now() - began) / 1000).toFixed(0)} s`);
  }

  async #makeRaw(path: string): Promise<void> {
    const { espMebibytes, rootMebibytes, fileBytes } = this.#description;
    const scratch = mkdtempSync(join(this.#scratch, 'bty-bench-files-'));
    const [staging, esp, table] = [join(scratch, 'root'), join(scratch, 'esp'), join(scratch, 'table')];
    try {
      empty(path, this.bytes);
      empty(esp, espMebibytes * mebibyte);
      await this.#run([['mkfs.vfat', esp]]);
      await copyWithoutZeros(esp, path, mebibyte);
      await gather('/usr', staging, fileBytes, this.#signal);
      const offset = (1 + espMebibytes) * mebibyte;
      const options = ['-q', '-F', '-m', '0', '-E', `offset=${offset}`, '-d', staging];
      await this.#run([['mkfs.ext4', ...options, path, `${rootMebibytes * 1024}k`]]);
      const sectors = (mebibytes: number) => mebibytes * 2048;
      writeFileSync(
        table,
        `label: gpt\nstart=2048, size=${sectors(espMebibytes)}, type=uefi\n` +
          `start=${sectors(1 + espMebibytes)}, size=${sectors(rootMebibytes)}, type=linux\n`,
      );
      await this.#run([
        ['dd', `if=${table}`, 'status=none'],
        ['sfdisk', '--quiet', '--no-tell-kernel', '--wipe=never', '--wipe-partitions=never', path],
      ]);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }

  async #run(pipeline: Pipeline): Promise<void> {
    await measure([pipeline], this.#signal);
  }
}

function empty(path: string, bytes: number): void {
  const descriptor = openSync(path, 'w');
  ftruncateSync(descriptor, bytes);
  closeSync(descriptor);
}

/** Copies a file into another at `offset`, leaving holes where it holds zeros. */
async function copyWithoutZeros(from: string, to: string, offset: number): Promise<void> {
  const source = await open(from, 'r');
  const target = await open(to, 'r+');
  try {
    const [block, zeros] = [Buffer.alloc(65536), Buffer.alloc(65536)];
    for (let at = 0; ; at += block.length) {
      const { bytesRead } = await source.read(block, 0, block.length, at);
      if (bytesRead === 0) return;
      if (!block.equals(zeros)) await writeWhole(target, block.subarray(0, bytesRead), offset + at);
    }
  } finally {
    await source.close();
    await target.close();
  }
}

async function writeWhole(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  const { bytesWritten } = await handle.write(bytes, 0, bytes.length, position);
  if (bytesWritten !== bytes.length) throw new Error('the disk is full');
}

/** Largest file that is taken: a few giants would make every machine's image another kind of image. */
const largestFile = 64 * mebibyte;

/**
 * Copies files from below `from` in the order of their names until they take `bytes` bytes, each counted in
 * blocks of 4 KiB. Where there are too few files they are taken again.
 */
async function gather(from: string, to: string, bytes: number, signal: AbortSignal): Promise<void> {
  let left = bytes;
  const fill = async (source: string, target: string): Promise<void> => {
    await mkdir(target, { recursive: true });
    const entries = await readdir(source, { withFileTypes: true }).catch(() => []);
    entries.sort((one, other) => (one.name < other.name ? -1 : 1));
    for (const entry of entries) {
      signal.throwIfAborted();
      if (left <= 0) return;
      const [path, copy] = [join(source, entry.name), join(target, entry.name)];
      if (entry.isDirectory()) await fill(path, copy);
      else if (entry.isFile()) left -= await take(path, copy, Math.min(left, largestFile));
    }
  };
  for (let time = 1; left > 0; time++) {
    const before = left;
    await fill(from, join(to, `files-${time}`));
    if (left === before) throw new Error(`${from} holds no files to fill an image with`);
  }
}

/** Copies one file of at most `most` bytes; the bytes that it takes in a file system, 0 when it was left out. */
async function take(path: string, copy: string, most: number): Promise<number> {
  try {
    const { size } = await stat(path);
    if (size > most) return 0;
    await copyFile(path, copy);
    return Math.ceil(size / 4096) * 4096;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC') throw error;
    return 0; // not readable, or gone by now
  }
}
