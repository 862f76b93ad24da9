/**
 * The system calls that Node.js does not offer, each by its manual page. Linux on x86-64 and arm64, where the
 * request numbers below are the same (asm-generic). Nothing is loaded before the first call.
 *
 * Every call fails with an error shaped like Node's own: `code` ("EIO", "EOPNOTSUPP" ...), `errno`, `syscall`.
 */
import { constants, openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { getRawAsset, isSea } from 'node:sea';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { failure } from '../../shared/failure.ts';
import { bundledAddon } from './bundle.ts';

// ioctl(2) requests of <linux/fs.h>
const BLKROGET = 0x125e;
const BLKRRPART = 0x125f;
const BLKFLSBUF = 0x1261;
const BLKSSZGET = 0x1268;
const BLKGETSIZE64 = 0x80081272;
const BLKGETDISKSEQ = 0x80081280;
// flock(2)
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
// fallocate(2)
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
// lseek(2)
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
// posix_fadvise(2)
const POSIX_FADV_DONTNEED = 4;
// madvise(2)
const MADV_HUGEPAGE = 14;
// fcntl(2)
const F_SETPIPE_SZ = 1031;
// open(2): without __O_TMPFILE's O_DIRECTORY half the flag means something else, so both stand here.
const O_TMPFILE = 0o20200000;
const O_CLOEXEC = 0o2000000;

type Argument = number | Uint8Array | null;
type Done = (error: Error | null, result: number) => void;
interface Call {
  (...args: Argument[]): number;
  async(...args: [...Argument[], Done]): void;
}
export interface Koffi {
  load(path: null): { func(name: string, result: string, args: readonly string[]): Call };
  struct(name: string, fields: Readonly<Record<string, string>>): unknown;
  decode(pointer: unknown, type: unknown): unknown;
  errno(): number;
}
interface Library {
  readonly koffi: Koffi;
  readonly ioctl: Call;
  readonly fallocate: Call;
  readonly flock: Call;
  readonly lseek: Call;
  readonly fadvise: Call;
  readonly madvise: Call;
  readonly pipe: Call;
  readonly fcntl: Call;
  readonly close: Call;
}

/** Asset of the single executable that holds the prebuilt addon of koffi for this machine. */
export const koffiAsset = 'koffi.node';

let loaded: Library | undefined;
let loadedKoffi: Koffi | undefined;

/** What calls the C library; loaded once. */
export function systemLibrary(): Koffi {
  loadedKoffi ??= isSea() ? loadAddon(new Uint8Array(getRawAsset(koffiAsset))) : requireKoffi();
  return loadedKoffi;
}

function library(): Library {
  if (loaded) return loaded;
  const koffi = systemLibrary();
  const libc = koffi.load(null); // the process itself, which links the C library, whatever its file is called
  // ioctl is variadic in C; the calling conventions of x86-64 and arm64 Linux pass its one pointer alike.
  loaded = {
    koffi,
    ioctl: libc.func('ioctl', 'int', ['int', 'unsigned long', 'void *']),
    fallocate: libc.func('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t']),
    flock: libc.func('flock', 'int', ['int', 'int']),
    lseek: libc.func('lseek', 'int64_t', ['int', 'int64_t', 'int']),
    fadvise: libc.func('posix_fadvise', 'int', ['int', 'int64_t', 'int64_t', 'int']),
    madvise: libc.func('madvise', 'int', ['void *', 'size_t', 'int']),
    pipe: libc.func('pipe2', 'int', ['void *', 'int']),
    fcntl: libc.func('fcntl', 'int', ['int', 'int', 'long']),
    close: libc.func('close', 'int', ['int']),
  };
  return loaded;
}

function requireKoffi(): Koffi {
  if (bundledAddon !== null) {
    const addon = { exports: {} };
    process.dlopen(addon, bundledAddon);
    return addon.exports as Koffi;
  }
  return createRequire(import.meta.url)('koffi') as Koffi;
}

/**
 * Loads an addon from bytes. dlopen(3) wants a file; a process with root rights must not execute one that
 * others could swap, so the file has no name: open(2) O_TMPFILE, reached through /proc/self/fd. The descriptor
 * stays open because dlopen knows loaded objects by name, and a reused number would name another object.
 */
export function loadAddon(
  bytes: Uint8Array,
  directories: readonly string[] = ['/dev/shm', '/run', '/tmp', '/var/tmp'],
): Koffi {
  const problems: string[] = [];
  for (const directory of directories) {
    try {
      const descriptor = openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600);
      for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
      const addon = { exports: {} };
      process.dlopen(addon, `/proc/self/fd/${descriptor}`);
      return addon.exports as Koffi;
    } catch (error) {
      problems.push(`${directory}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw failure('NATIVE_UNLOADABLE', { problem: problems.join('; ') });
}

/** The error that `errno` of `call` stands for, shaped like Node's own. */
export function systemError(errno: number, call: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  const error: NodeJS.ErrnoException = new Error(`${code}: ${getSystemErrorMessage(-errno)}, ${call}`);
  error.code = code;
  error.errno = -errno;
  error.syscall = call;
  return error;
}

/** Runs a call that may wait for a device in libuv's pool. */
function later(call: Call, name: string, args: readonly Argument[]): Promise<void> {
  const { koffi } = library();
  return new Promise((resolve, reject) => {
    call.async(...args, (error, result) => {
      // koffi carries the pool thread's errno over; it holds only until this function returns.
      const errno = koffi.errno();
      if (error) reject(error);
      else if (result === -1) reject(systemError(errno, name));
      else resolve();
    });
  });
}

/** Runs a call that reads kernel memory only. */
function now(name: string, descriptor: number, request: number, bytes: number): DataView {
  const { koffi, ioctl } = library();
  const into = Buffer.alloc(bytes);
  if (ioctl(descriptor, request, into) === -1) throw systemError(koffi.errno(), name);
  return new DataView(into.buffer, into.byteOffset, bytes);
}

/** ioctl(2) BLKGETSIZE64: size of a block device in bytes, 0 once it was unplugged. */
export function deviceSize(descriptor: number): number {
  return Number(now('ioctl BLKGETSIZE64', descriptor, BLKGETSIZE64, 8).getBigUint64(0, true));
}

/** ioctl(2) BLKSSZGET: logical block size of a block device in bytes. */
export function deviceBlockSize(descriptor: number): number {
  return now('ioctl BLKSSZGET', descriptor, BLKSSZGET, 4).getInt32(0, true);
}

/** ioctl(2) BLKROGET: true when a block device refuses writes. */
export function deviceReadOnly(descriptor: number): boolean {
  return now('ioctl BLKROGET', descriptor, BLKROGET, 4).getInt32(0, true) !== 0;
}

/**
 * ioctl(2) BLKGETDISKSEQ: number that no other disk, nor this one after a change of medium, gets before the
 * next reboot. Null on kernels before 5.15.
 */
export function deviceSequence(descriptor: number): number | null {
  try {
    return Number(now('ioctl BLKGETDISKSEQ', descriptor, BLKGETDISKSEQ, 8).getBigUint64(0, true));
  } catch (error) {
    if (isSystemError(error, 'ENOTTY', 'EINVAL')) return null;
    throw error;
  }
}

/** ioctl(2) BLKRRPART: reads the partition table again. EBUSY: a partition is in use. EINVAL: has none ever. */
export function rereadPartitionTable(descriptor: number): Promise<void> {
  return later(library().ioctl, 'ioctl BLKRRPART', [descriptor, BLKRRPART, null]);
}

/** ioctl(2) BLKFLSBUF: writes out and forgets the page cache of a block device. Needs CAP_SYS_ADMIN. */
export function flushDeviceCache(descriptor: number): Promise<void> {
  return later(library().ioctl, 'ioctl BLKFLSBUF', [descriptor, BLKFLSBUF, null]);
}

/**
 * fallocate(2) FALLOC_FL_PUNCH_HOLE: makes `length` bytes at `offset` read as zeros. On a block device the
 * kernel asks the device to zero them and never writes zeros itself (EOPNOTSUPP instead); offset and length are
 * multiples of the logical block size there.
 */
export function punchHole(descriptor: number, offset: number, length: number): Promise<void> {
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  return later(library().fallocate, 'fallocate', [descriptor, mode, offset, length]);
}

/** flock(2) LOCK_EX|LOCK_NB: EAGAIN when another process holds a lock. Closing the descriptor unlocks. */
export function lockExclusively(descriptor: number): Promise<void> {
  return later(library().flock, 'flock', [descriptor, LOCK_EX | LOCK_NB]);
}

/** flock(2) LOCK_SH|LOCK_NB: EAGAIN when another process holds the lock for itself. */
export function lockShared(descriptor: number): Promise<void> {
  return later(library().flock, 'flock', [descriptor, LOCK_SH | LOCK_NB]);
}

/** posix_fadvise(2) POSIX_FADV_DONTNEED: forgets cached pages that are already on the medium. */
export function forgetCached(descriptor: number, offset: number, length: number): Promise<void> {
  const { fadvise } = library();
  return new Promise((resolve, reject) => {
    fadvise.async(descriptor, offset, length, POSIX_FADV_DONTNEED, (error, result) => {
      // posix_fadvise(2), RETURN VALUE: the error number itself; errno is not set.
      if (error) reject(error);
      else if (result !== 0) reject(systemError(result, 'posix_fadvise'));
      else resolve();
    });
  });
}

/**
 * madvise(2) MADV_HUGEPAGE: asks for large pages under `memory`, which begins on a page and was not touched yet. Direct
 * I/O then pins and maps a few hundred times fewer of them. False where the system has none.
 */
export function preferLargePages(memory: Uint8Array): boolean {
  return library().madvise(memory, memory.length, MADV_HUGEPAGE) === 0;
}

/**
 * lseek(2) SEEK_DATA, then SEEK_HOLE: the first stretch of a file at or after `offset` that is no hole, in bytes.
 * Null when only holes follow. Moves the position of the descriptor, which positional reads do not use. Block
 * devices and some file systems know no holes (EINVAL).
 */
export function nextData(descriptor: number, offset: number): { start: number; end: number } | null {
  const { koffi, lseek } = library();
  const start = lseek(descriptor, offset, SEEK_DATA);
  const end = start === -1 ? -1 : lseek(descriptor, start, SEEK_HOLE);
  if (end !== -1) return { start, end };
  const error = systemError(koffi.errno(), 'lseek');
  if (isSystemError(error, 'ENXIO')) return null;
  throw error;
}

/**
 * pipe2(2) with O_CLOEXEC: two descriptors that the caller closes with `closeEnd`. It holds as many bytes as the first
 * of `capacities` that the system grants (/proc/sys/fs/pipe-max-size, which root may exceed), 64 KiB otherwise.
 */
export function makePipe(...capacities: readonly number[]): {
  readonly read: number;
  readonly write: number;
} {
  const { koffi, pipe, fcntl } = library();
  const ends = Buffer.alloc(8);
  if (pipe(ends, O_CLOEXEC) === -1) throw systemError(koffi.errno(), 'pipe2');
  const write = ends.readInt32LE(4);
  capacities.some((capacity) => fcntl(write, F_SETPIPE_SZ, capacity) >= capacity);
  return { read: ends.readInt32LE(0), write };
}

/** close(2) for a descriptor of `makePipe`: in a worker thread that of node:fs warns about those it did not open. */
export function closeEnd(descriptor: number): void {
  library().close(descriptor);
}

/** True when `error` is a system error with one of `codes`. */
export function isSystemError(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
