import type { DiskHandle } from '../disk/handle.ts';

/**
 * The start and the end of a disk, kept in memory until everything between is on the medium. Partition tables,
 * boot sectors and superblocks live there (a GPT has a copy at the end), so while these ranges are zero the
 * disk looks blank: a flash that breaks off never leaves a disk that half boots or shows its old partitions.
 */
export class Held {
  static readonly bytes = 1 << 20;
  readonly regions: readonly Region[];

  constructor(disk: Pick<DiskHandle, 'size'>) {
    const head = Math.min(disk.size, Held.bytes);
    const tail = Math.max(head, Math.floor((disk.size - Held.bytes) / 4096) * 4096);
    this.regions = [new Region(0, head), new Region(tail, disk.size - tail)].filter(
      ({ length }) => length > 0,
    );
  }

  /** Takes the parts of `bytes` (at `offset` of the disk) that are held back; returns the parts that are not. */
  split(offset: number, length: number, bytes: Uint8Array | null): readonly { start: number; end: number }[] {
    let rest = [{ start: offset, end: offset + length }];
    for (const region of this.regions) {
      const start = Math.max(offset, region.offset);
      const end = Math.min(offset + length, region.offset + region.length);
      if (start >= end) continue;
      if (bytes) region.put(bytes.subarray(start - offset, end - offset), start);
      else region.clear(start, end);
      rest = rest.flatMap((piece) =>
        [
          { start: piece.start, end: Math.min(piece.end, start) },
          { start: Math.max(piece.start, end), end: piece.end },
        ].filter((part) => part.start < part.end),
      );
    }
    return rest;
  }

  /** Overlays what is held over `view`, which was read at `offset`: as if it were on the disk already. */
  overlay(view: Uint8Array, offset: number): void {
    for (const region of this.regions) {
      const start = Math.max(offset, region.offset);
      const end = Math.min(offset + view.length, region.offset + region.length);
      if (start < end)
        view.set(region.content.subarray(start - region.offset, end - region.offset), start - offset);
    }
  }
}

class Region {
  readonly offset: number;
  readonly length: number;
  /** Page aligned; zero where the image has no bytes. */
  readonly content: Uint8Array;

  constructor(offset: number, length: number) {
    this.offset = offset;
    this.length = length;
    this.content = alignedBytes(length);
  }

  put(bytes: Uint8Array, at: number): void {
    this.content.set(bytes, at - this.offset);
  }

  clear(start: number, end: number): void {
    this.content.fill(0, start - this.offset, end - this.offset);
  }
}

/** Zeroed memory that begins on a page, as O_DIRECT needs it. */
export function alignedBytes(length: number): Uint8Array {
  const pages = Math.max(1, Math.ceil(length / 65536));
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return Buffer.from(memory.buffer, 0, length);
}
