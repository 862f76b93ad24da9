/** What a partition table says, whatever its scheme. */

import type { Filesystem } from './superblocks.ts';

export interface Partition {
  /** As the operating system counts: 1 and up; logical partitions of an MBR from 5. */
  readonly number: number;
  /** Bytes from the start of the disk. */
  readonly start: number;
  /** Bytes. */
  readonly size: number;
  /** GUID in upper case, or `0x83`. */
  readonly type: string;
  readonly typeName: string;
  /** Name in a GPT entry. */
  readonly name: string | null;
  /** Unique GUID of a GPT entry. */
  readonly uuid: string | null;
  /** Active in an MBR, legacy-bootable in a GPT. */
  readonly bootable: boolean;
  readonly filesystem: Filesystem | null;
}

/** What a reader of one scheme found. */
export interface Found {
  readonly sectorSize: number;
  /** Disk GUID, or `0x` and the disk signature of an MBR. */
  readonly id: string | null;
  readonly partitions: readonly Partition[];
  /** Sentences about what is wrong with the table. */
  readonly problems: readonly string[];
  /** False when parts of the table lie beyond the bytes at hand. */
  readonly complete: boolean;
}

/** Bytes at hand, and the size of the disk they begin; null when that is not known. */
export interface Extent {
  readonly reachable: number;
  readonly diskBytes: number | null;
}

/** Sentences about partitions that overlap or do not fit on the disk. */
export function misplaced(partitions: readonly Partition[], { diskBytes }: Extent): string[] {
  const problems: string[] = [];
  for (const { number, start, size } of partitions) {
    if (diskBytes !== null && start + size > diskBytes) {
      problems.push(
        `Partition ${number} ends at byte ${start + size}, beyond the end of the image at byte ${diskBytes}.`,
      );
    }
  }
  const sorted = [...partitions].sort((a, b) => a.start - b.start);
  for (const [index, after] of sorted.entries()) {
    const before = sorted[index - 1];
    if (before && before.start + before.size > after.start) {
      problems.push(`Partitions ${before.number} and ${after.number} overlap.`);
    }
  }
  return problems;
}
