/** What a partition holds: its superblock, and the label where that lies elsewhere. */

import { type RandomReader, readFully } from '../source/source.ts';
import {
  exfatRoot,
  exfatRootLabel,
  type Filesystem,
  fatGeometry,
  fatRootLabel,
  filesystemOf,
  ntfsVolumeLabel,
  ntfsVolumeRecord,
  oldRaidMember,
  raidMember,
  SUPERBLOCK_WINDOW,
} from './superblocks.ts';

export type { Filesystem } from './superblocks.ts';

/**
 * Looks for a file system in the `length` bytes at `start`; null when none is known there. Reads at most 72 KiB, one
 * directory cluster and the places of RAID superblocks; what lies beyond the end of `reader` counts as absent.
 * Rejects only when `reader` does.
 */
export async function identifyFilesystem(
  reader: RandomReader,
  start: number,
  length: number,
): Promise<Filesystem | null> {
  const available = Math.min(length, reader.size - start);
  if (!(available > 0)) return null;
  const bytes = await readFully(reader, start, Math.min(SUPERBLOCK_WINDOW, available));
  const part = new Part(reader, start, available);
  // A mirror's members begin with the file system they mirror; only their end says what they are.
  if (available === length) {
    const member = await raidAtEnd(part, length);
    if (member) return member;
  }
  const found = filesystemOf(bytes);
  if (!found) return null;
  if (found.kind === 'vfat') return { ...found, label: (await fatLabel(part, bytes)) ?? found.label };
  if (found.kind === 'exfat') return { ...found, label: await exfatLabel(part, bytes) };
  if (found.kind === 'ntfs') return { ...found, label: await ntfsLabel(part, bytes) };
  return found;
}

/** Bytes of one partition. */
class Part {
  readonly #reader: RandomReader;
  readonly #start: number;
  readonly #length: number;

  constructor(reader: RandomReader, start: number, length: number) {
    this.#reader = reader;
    this.#start = start;
    this.#length = length;
  }

  /** Up to `length` bytes at `at`, none outside the partition. */
  async read(at: number, length: number): Promise<Uint8Array> {
    const count = Math.min(length, this.#length - at);
    if (!(at >= 0) || !(count > 0)) return new Uint8Array(0);
    return await readFully(this.#reader, this.#start + at, count);
  }
}

async function fatLabel(part: Part, boot: Uint8Array): Promise<string | null> {
  const geometry = fatGeometry(boot);
  if (!geometry) return null;
  return fatRootLabel(await part.read(geometry.rootStart, Math.min(geometry.rootBytes, 65536)));
}

async function exfatLabel(part: Part, boot: Uint8Array): Promise<string | null> {
  const root = exfatRoot(boot);
  return root && exfatRootLabel(await part.read(root.start, Math.min(root.clusterBytes, 65536)));
}

async function ntfsLabel(part: Part, boot: Uint8Array): Promise<string | null> {
  const record = ntfsVolumeRecord(boot);
  return record && ntfsVolumeLabel(await part.read(record.start, record.length));
}

/** Versions 1.0 (8 KiB before the end, aligned to 4 KiB) and 0.90 (the last aligned 64 KiB); md(4). */
async function raidAtEnd(part: Part, length: number): Promise<Filesystem | null> {
  const sectors = Math.floor(length / 512);
  const modern = (sectors - 16 - ((sectors - 16) % 8)) * 512;
  const old = (sectors - (sectors % 128) - 128) * 512;
  return raidMember(await part.read(modern, 256), 0) ?? oldRaidMember(await part.read(old, 256), 0);
}
