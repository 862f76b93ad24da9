/** The part of the stick that is an ISO 9660 file system, so that the same bytes also boot as a (virtual) CD. */

import { execFile } from 'node:child_process';
import { open, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Loaders, makeCore } from './grub.ts';

/** All files of a medium carry this time, so that two builds are the same: 2020-01-01, seconds since 1970. */
export const mediumSeconds = 1_577_836_800;
/** Environment for tools that would else put the time of the build into what they write. */
const steadyClock = {
  SOURCE_DATE_EPOCH: String(mediumSeconds),
  // What e2fsprogs takes for now.
  E2FSPROGS_FAKE_TIME: String(mediumSeconds),
  TZ: 'UTC',
  LC_ALL: 'C',
} as const;

const cdBlock = 2048;
/** The partition begins here, and the file system can be mounted through it as well as through the whole disk. */
export const isoFirstSector = 64;

export interface IsoOptions {
  readonly loaders: Loaders;
  /** Folder with the files. */
  readonly tree: string;
  readonly volume: string;
  /** A file that only this medium has, by which GRUB finds it. */
  readonly mark: string;
  /** Folder for what is made on the way. */
  readonly work: string;
  readonly to: string;
}

/** Modules of GRUB that read the medium and start Linux from it by BIOS. */
const modules = [
  ...['biosdisk', 'iso9660', 'part_gpt', 'part_msdos', 'search', 'search_fs_file', 'normal', 'configfile'],
  ...['linux', 'boot', 'echo', 'test', 'keystatus', 'sleep', 'minicmd', 'halt', 'reboot'],
];

/** What every GRUB of the medium does first. */
export const findMedium = (mark: string): string =>
  `search --no-floppy --set=root --file ${mark}\nset prefix=($root)/boot/grub\nconfigfile ($root)/boot/grub/grub.cfg\n`;

/** Makes the file system at `to`, bootable by BIOS from a disk and from a CD. */
export async function makeIso(options: IsoOptions): Promise<void> {
  const { loaders, tree, volume, mark, work, to } = options;
  const core = join(tree, 'boot/grub/eltorito.img');
  const made = join(work, 'eltorito.img');
  await makeCore(loaders, { format: 'i386-pc-eltorito', modules, config: findMedium(mark), to: made });
  await run('cp', [made, core]);
  await utimes(core, mediumSeconds, mediumSeconds);
  await run('xorriso', [
    ...['-as', 'mkisofs', '-quiet', '-rational-rock', '-joliet', '-volid', volume, '-o', to],
    // When a file was made is told of the file system that it was made on, and cannot be set there.
    ...['--set_all_file_dates', `=${mediumSeconds}`],
    ...['-b', 'boot/grub/eltorito.img', '-no-emul-boot', '-boot-load-size', '4', '-boot-info-table'],
    ...['--grub2-boot-info', '--grub2-mbr', join(loaders.bios, 'boot_hybrid.img')],
    ...['-partition_offset', String(isoFirstSector / 4), '-c', 'boot/grub/boot.cat'],
    ...['-eltorito-alt-boot', '-e', 'boot/grub/placeholder', '-no-emul-boot', tree],
  ]);
}

/**
 * Lets the entry for UEFI in the CD's catalog point at the system partition behind the file system (El Torito 1.0,
 * section 2; UEFI specification 2.10, 13.3.2.1).
 */
export async function pointAtEsp(image: string, firstSector: number): Promise<void> {
  const file = await open(image, 'r+');
  try {
    const record = Buffer.alloc(cdBlock);
    await file.read(record, 0, cdBlock, 17 * cdBlock);
    if (record.toString('latin1', 7, 30) !== 'EL TORITO SPECIFICATION')
      throw new Error('there is no El Torito');
    const catalogAt = record.readUInt32LE(0x47) * cdBlock;
    const catalog = Buffer.alloc(cdBlock);
    await file.read(catalog, 0, cdBlock, catalogAt);
    // A section header for platform EFh, then its entry.
    if (catalog[64] !== 0x91 || catalog[65] !== 0xef || catalog[96] !== 0x88)
      throw new Error('the catalog of the CD has no entry for UEFI');
    // Zero and one sector say: as far as the medium reaches (UEFI specification).
    catalog.writeUInt16LE(0, 96 + 6);
    catalog.writeUInt32LE((firstSector * 512) / cdBlock, 96 + 8);
    await file.write(catalog, 0, cdBlock, catalogAt);
  } finally {
    await file.close();
  }
}

/** Runs a tool with a clock that stands still. Rejects with what it complained about. */
export async function run(program: string, args: readonly string[]): Promise<string> {
  try {
    const env = { ...process.env, ...steadyClock, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
    return (await promisify(execFile)(program, [...args], { env, maxBuffer: 1 << 26 })).stdout;
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    throw new Error(`${program} ${args.slice(0, 3).join(' ')}: ${stderr.trim() || String(error)}`, {
      cause: error,
    });
  }
}
