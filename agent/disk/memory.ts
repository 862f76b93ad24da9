import type { DiskHandle } from './handle.ts';

export interface MemoryDiskOptions {
  readonly path?: string;
  /** Bytes; 512 unless given. */
  readonly blockSize?: number;
  /** What every byte is before anything is written; 0xAA unless given, as no test may rely on zeros. */
  readonly fill?: number;
  /** Whether ranges can be zeroed without data; true unless given. */
  readonly zeroes?: boolean;
}

/** A disk in memory for tests, as strict as direct I/O: whole blocks only, nothing past the end. */
export class MemoryDisk implements DiskHandle {
  readonly path: string;
  readonly size: number;
  readonly blockSize: number;
  readonly direct = true;
  /** All that is stored. */
  readonly bytes: Uint8Array;
  readonly #zeroes: boolean;
  #open = true;

  /** `size` is in bytes. */
  constructor(size: number, options: MemoryDiskOptions = {}) {
    this.path = options.path ?? '/dev/memory';
    this.size = size;
    this.blockSize = options.blockSize ?? 512;
    this.bytes = new Uint8Array(size).fill(options.fill ?? 0xaa);
    this.#zeroes = options.zeroes ?? true;
  }

  get closed(): boolean {
    return !this.#open;
  }

  async write(from: Uint8Array, position: number): Promise<number> {
    this.#check(position, from.length, 'write');
    if (position >= this.size && from.length > 0) throw systemError('ENOSPC', 'write');
    const kept = from.subarray(0, this.size - position);
    this.bytes.set(kept, position);
    return kept.length;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#check(position, into.length, 'read');
    const found = this.bytes.subarray(position, position + into.length);
    into.set(found);
    return found.length;
  }

  async zero(position: number, length: number): Promise<boolean> {
    this.#check(0, 0, 'fallocate');
    if (!this.#zeroes || position % this.blockSize !== 0 || length % this.blockSize !== 0) return false;
    this.bytes.fill(0, position, position + length);
    return true;
  }

  async flush(): Promise<void> {
    this.#check(0, 0, 'fsync');
  }

  async dropCache(): Promise<void> {
    this.#check(0, 0, 'ioctl');
  }

  async currentSize(): Promise<number> {
    this.#check(0, 0, 'ioctl');
    return this.size;
  }

  async rereadPartitions(): Promise<boolean> {
    this.#check(0, 0, 'ioctl');
    return true;
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  #check(position: number, length: number, call: string): void {
    if (!this.#open) throw systemError('EBADF', call);
    if (position % this.blockSize !== 0 || length % this.blockSize !== 0) throw systemError('EINVAL', call);
  }
}

/** An error as Node makes it from the system's. */
export function systemError(code: string, call: string): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${code}: made by a test, ${call}`);
  error.code = code;
  error.syscall = call;
  return error;
}
