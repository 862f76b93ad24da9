import { close, fstat, fsync, read, write } from 'node:fs';
import {
  deviceSize,
  flushDeviceCache,
  forgetCached,
  isSystemError,
  punchHole,
  rereadPartitionTable,
} from '../system/native.ts';
import type { DiskHandle } from './handle.ts';

export interface DescriptorFacts {
  readonly kind: 'device' | 'file';
  readonly descriptor: number;
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes. */
  readonly blockSize: number;
  readonly direct: boolean;
}

/** A disk or virtual disk file through its descriptor, which belongs to this handle from now on. */
export class DescriptorDisk implements DiskHandle {
  readonly path: string;
  readonly size: number;
  readonly blockSize: number;
  readonly direct: boolean;
  /** Belongs to this handle; for a process that hands it to another. */
  readonly descriptor: number;
  readonly #kind: 'device' | 'file';
  #zeroes = true;
  #closed: Promise<void> | undefined;

  constructor(facts: DescriptorFacts) {
    this.path = facts.path;
    this.size = facts.size;
    this.blockSize = facts.blockSize;
    this.direct = facts.direct;
    this.#kind = facts.kind;
    this.descriptor = facts.descriptor;
  }

  write(from: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.descriptor, from, 0, from.length, position, (error, count) =>
        error ? reject(error) : resolve(count),
      );
    });
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.descriptor, into, 0, into.length, position, (error, count) =>
        error ? reject(error) : resolve(count),
      );
    });
  }

  async zero(position: number, length: number): Promise<boolean> {
    if (length === 0) return true;
    if (!this.#zeroes || position % this.blockSize !== 0 || length % this.blockSize !== 0) return false;
    try {
      await punchHole(this.descriptor, position, length);
      return true;
    } catch (error) {
      if (!isSystemError(error, 'EOPNOTSUPP', 'ENOTSUP', 'EINVAL', 'ENOSYS', 'ENODEV')) throw error;
      this.#zeroes = false;
      return false;
    }
  }

  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      fsync(this.descriptor, (error) => (error ? reject(error) : resolve()));
    });
  }

  async dropCache(): Promise<void> {
    if (this.#kind === 'device') {
      try {
        await flushDeviceCache(this.descriptor);
        return;
      } catch (error) {
        if (!isSystemError(error, 'EACCES', 'EPERM', 'ENOTTY')) throw error; // not CAP_SYS_ADMIN: ask politely
      }
    }
    await this.flush(); // posix_fadvise(2) keeps pages that are not yet on the medium
    await forgetCached(this.descriptor, 0, 0);
  }

  async currentSize(): Promise<number> {
    if (this.#kind === 'device') return deviceSize(this.descriptor);
    return new Promise((resolve, reject) => {
      fstat(this.descriptor, (error, found) => (error ? reject(error) : resolve(found.size)));
    });
  }

  async rereadPartitions(): Promise<boolean> {
    if (this.#kind === 'file') return true;
    try {
      await rereadPartitionTable(this.descriptor);
      return true;
    } catch (error) {
      // EACCES: the ioctl wants CAP_SYS_ADMIN, which a user who may write the disk need not have.
      if (isSystemError(error, 'EBUSY', 'EACCES', 'EPERM')) return false;
      // EINVAL: a device that never has partitions, such as a loop device without partscan.
      if (isSystemError(error, 'EINVAL', 'ENOTTY')) return true;
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve, reject) => {
      close(this.descriptor, (error) => (error ? reject(error) : resolve()));
    });
    return this.#closed;
  }
}
