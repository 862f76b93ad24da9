/** Lets the stick's partition for images take the whole stick, at its first boot and never again. */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { fitTable } from '../live/gpt.ts';
import type { Stick } from './find.ts';
import { growVolume } from './grow.ts';
import { guidBytes, isWhole, primaryOf, shippedDisk, withDiskGuid } from './identity.ts';

export type Prepared =
  /** Bytes that the images have now. */
  | { readonly kind: 'grown'; readonly bytes: number }
  /** Nothing was to be done. */
  | { readonly kind: 'settled' }
  /** It stays as it is; `reason` is a sentence for a person. */
  | { readonly kind: 'left'; readonly reason: string };

const sector = 512;

/**
 * Moves the backup of the partition table to the end of the stick, enlarges partition and file system, and gives the
 * disk a GUID of its own, by which every later boot knows that this was done. A power cut in between leaves a stick
 * that boots, with all files, and the next boot goes on. `beforeWrite` is told each byte position before it is written.
 * Rejects when the stick cannot be written.
 */
export async function prepareStick(
  stick: Stick,
  beforeWrite: (at: number) => void = () => {},
): Promise<Prepared> {
  if (stick.guid?.toUpperCase() !== shippedDisk) return { kind: 'settled' };
  if (stick.readOnly) return { kind: 'left', reason: 'The medium is read-only, so nothing was enlarged.' };
  // Exclusive: whoever has a partition of it mounted keeps it from being changed.
  const file = await open(stick.path, constants.O_RDWR | constants.O_EXCL);
  try {
    const medium = { file, beforeWrite };
    await mendTable(medium, stick);
    const prepared = await enlarge(medium, stick);
    await rename(medium, stick);
    return prepared;
  } finally {
    await file.close();
  }
}

interface Medium {
  readonly file: FileHandle;
  readonly beforeWrite: (at: number) => void;
}

async function enlarge(medium: Medium, stick: Stick): Promise<Prepared> {
  const { file } = medium;
  const { images } = stick;
  if (images === null)
    return { kind: 'left', reason: 'The stick has no partition BTY_IMAGES any more; it was left as it is.' };
  if (!stick.imagesAreLast) {
    const reason = 'Another partition lies behind BTY_IMAGES, so it was left as it is.';
    return { kind: 'left', reason };
  }
  const volume = (bytes: number) =>
    growVolume({ bytes, read: (at, length) => readAll(file, images.start + at, length) });
  const now = await volume(images.size);
  if (now.kind === 'other') {
    const reason = `The file system of BTY_IMAGES ${now.problem}, so it was left as it is.`;
    return { kind: 'left', reason };
  }
  const { writes } = await fitTable({
    sectorSize: sector,
    diskBytes: stick.size,
    grow: true,
    read: (at, length) => readAll(file, at, length),
  });
  await writeAll(medium, 0, writes);
  const bytes = await sizeNow(file, images.number);
  const grown = await volume(bytes);
  if (grown.kind !== 'grows') return { kind: 'settled' };
  await writeAll(medium, images.start, grown.writes);
  return { kind: 'grown', bytes: grown.to };
}

/** Sectors of a list of 128 partitions, as every table of ours has it. */
const listSectors = 32;

/** A cut while the table at the start was written leaves the one at the end, which is then written to the start. */
async function mendTable(medium: Medium, stick: Stick): Promise<void> {
  const { file } = medium;
  const [header, list] = [
    await readAll(file, sector, sector),
    await readAll(file, 2 * sector, listSectors * sector),
  ];
  if (isWhole(header, list)) return;
  const end = Math.floor(stick.size / sector) * sector;
  const backup = await readAll(file, end - sector, sector);
  const backupList = await readAll(file, end - (1 + listSectors) * sector, listSectors * sector);
  if (!isWhole(backup, backupList)) throw new Error('its partition table is damaged');
  await writeAll(medium, 0, [
    { at: 2 * sector, bytes: backupList },
    { at: sector, bytes: primaryOf(backup) },
  ]);
}

/** Bytes of a partition as the table says now. */
async function sizeNow(file: FileHandle, number: number): Promise<number> {
  const header = Buffer.from(await readAll(file, sector, sector));
  const at = Number(header.readBigUInt64LE(72)) * sector + (number - 1) * header.readUInt32LE(84);
  const start = at - (at % sector);
  const entry = Buffer.from(await readAll(file, start, 2 * sector)).subarray(at - start);
  return Number(entry.readBigUInt64LE(40) - entry.readBigUInt64LE(32) + 1n) * sector;
}

/** The backup first: a cut in between leaves the shipped GUID in the primary, and the next boot goes on from there. */
async function rename(medium: Medium, stick: Stick): Promise<void> {
  const { file } = medium;
  const guid = guidBytes(randomUUID());
  const primary = await readAll(file, sector, sector);
  const backupAt = Number(Buffer.from(primary).readBigUInt64LE(32)) * sector;
  const copies = [{ at: sector, bytes: withDiskGuid(primary, guid) }];
  if (backupAt > sector && backupAt + sector <= stick.size) {
    const backup = await readAll(file, backupAt, sector);
    copies.unshift({ at: backupAt, bytes: withDiskGuid(backup, guid) });
  }
  await writeAll(medium, 0, copies);
}

async function readAll(file: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const into = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(into, done, length - done, at + done);
    if (bytesRead === 0) throw new Error(`the stick ends at byte ${at + done}`);
    done += bytesRead;
  }
  return into;
}

interface Write {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** In order, and each on the medium before the next. */
async function writeAll(medium: Medium, base: number, writes: readonly Write[]): Promise<void> {
  const { file, beforeWrite } = medium;
  for (const { at, bytes } of writes) {
    beforeWrite(base + at);
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, base + at + done);
      done += bytesWritten;
    }
    await file.sync();
  }
}
