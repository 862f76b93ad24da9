/** Calls on descriptors, as promises. */
import { type BigIntStats, close, fstat, read } from 'node:fs';

/** pread(2), or read(2) from the descriptor's own position where `position` is null. */
export function readDescriptor(
  descriptor: number,
  into: Uint8Array,
  length: number,
  position: number | null,
): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, into, 0, length, position, (error, count) => (error ? reject(error) : resolve(count)));
  });
}

/** fstat(2). */
export function statusOf(descriptor: number): Promise<BigIntStats> {
  return new Promise((resolve, reject) => {
    fstat(descriptor, { bigint: true }, (error, stats) => (error ? reject(error) : resolve(stats)));
  });
}

export function closeDescriptor(descriptor: number): Promise<void> {
  return new Promise((resolve) => {
    close(descriptor, () => resolve());
  });
}
