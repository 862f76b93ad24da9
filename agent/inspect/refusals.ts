/** Files that are given in place of disk images: how they are known, what they are called, what to do instead. */

import { hasBytes, hasText, isZero, u8, u32le } from './bytes.ts';

export interface Refusal {
  /** Completes "X is ..., not a disk image." */
  readonly what: string;
  readonly remedy: string;
}

interface Signature extends Refusal {
  readonly matches: (head: Uint8Array) => boolean;
}

const at = (offset: number, hex: string) => (head: Uint8Array) => hasBytes(head, offset, hex);
const text = (offset: number, expected: string) => (head: Uint8Array) => hasText(head, offset, expected);
const convert = 'Convert it to a raw image first: qemu-img convert -O raw.';
const extract = 'Extract it first and flash the image inside.';
const restore = 'Restore it with the program that made it.';
const again = 'Download the image again from a direct link.';
const repack = 'Unpack it first, or pack the image with xz or zstd instead.';

export const tarRefusal: Refusal = {
  what: 'a tar archive',
  remedy: 'Extract it first (tar xf) and flash the image inside.',
};
const vhd: Refusal = { what: 'a VHD virtual disk', remedy: convert };
const dmg: Refusal = {
  what: 'an Apple disk image (DMG)',
  remedy: 'Convert it on a Mac first: hdiutil convert -format UDTO.',
};

/** Longer than chance: these decide even where the bytes that follow look like a disk. */
const strong: readonly Signature[] = [
  { matches: isTar, ...tarRefusal },
  {
    matches: text(0, 'partclone-image'),
    what: 'a partclone image of one partition, as Clonezilla makes them',
    remedy: 'Restore the whole Clonezilla directory with Clonezilla, or this file with partclone.restore.',
  },
  { matches: text(0, 'PaRtImAgE-VoLuMe'), what: 'a Partimage file of one partition', remedy: restore },
  { matches: at(0, '377abcaf271c'), what: 'a 7-Zip archive', remedy: extract },
  { matches: text(0, 'Rar!\x1a\x07'), what: 'a RAR archive', remedy: extract },
  { matches: text(0, 'MSCF\0\0\0\0'), what: 'a Windows cabinet archive', remedy: extract },
  { matches: text(0, 'xar!'), what: 'a xar archive', remedy: extract },
  { matches: text(0, '!<arch>\ndebian-binary'), what: 'a Debian package', remedy: 'Install it with apt.' },
  { matches: text(0, '!<arch>\n'), what: 'an ar archive', remedy: extract },
  { matches: at(0, 'edabeedb'), what: 'an RPM package', remedy: 'Install it with the package manager.' },
  { matches: isCpio, what: 'a cpio archive', remedy: extract },
  { matches: isVmdk, what: 'a VMDK virtual disk', remedy: convert },
  { matches: text(0, 'vhdxfile'), what: 'a VHDX virtual disk', remedy: convert },
  { matches: text(0, 'conectix'), ...vhd },
  { matches: at(0x40, '7f10dabe'), what: 'a VirtualBox virtual disk (VDI)', remedy: convert },
  { matches: text(0, 'WithoutFreeSpace'), what: 'a Parallels virtual disk', remedy: convert },
  { matches: text(0, 'WithouFreSpacExt'), what: 'a Parallels virtual disk', remedy: convert },
  { matches: text(0, 'QED\0'), what: 'a QED virtual disk', remedy: convert },
  { matches: text(0, 'Bochs Virtual HD Image'), what: 'a Bochs virtual disk', remedy: convert },
  {
    matches: (head) => text(0, 'MSWIM\0\0\0')(head) || text(0, 'WLPWM\0\0\0')(head),
    what: 'a Windows installation archive (WIM)',
    remedy: 'Apply it to a partition with dism or wimlib, or flash the ISO it came from.',
  },
  {
    matches: at(0, '3aff26ed'),
    what: 'an Android sparse image',
    remedy: 'Expand it first with simg2img, or send it with fastboot.',
  },
  {
    matches: text(0, 'ANDROID!'),
    what: 'an Android boot image of one partition',
    remedy: 'Send it with fastboot.',
  },
  { matches: text(0, 'CrAU'), what: 'an Android update package', remedy: 'Install it on the device itself.' },
  { matches: text(0, 'encrcdsa'), ...dmg },
  { matches: at(0, '7f454c46'), what: 'a program (ELF)', remedy: 'Give the image that it installs.' },
  { matches: at(0, 'cffaedfe'), what: 'a macOS program', remedy: 'Give the image that it installs.' },
  { matches: text(0, '%PDF-'), what: 'a PDF document', remedy: again },
  { matches: at(0, '89504e470d0a1a0a'), what: 'a PNG picture', remedy: again },
  { matches: text(0, 'SQLite format 3\0'), what: 'a SQLite database', remedy: again },
  { matches: text(0, 'LZIP\x01'), what: 'packed with lzip', remedy: repack },
  { matches: at(0, '894c5a4f000d0a1a0a'), what: 'packed with lzop', remedy: repack },
  { matches: text(0, 'LRZI'), what: 'packed with lrzip', remedy: repack },
  { matches: at(0, '27051956'), what: 'a U-Boot image of a kernel or ramdisk', remedy: extract },
  { matches: at(0, 'd00dfeed'), what: 'a device tree or U-Boot FIT image', remedy: extract },
  {
    matches: text(0, 'UF2\n\x57\x51\x5d\x9e'),
    what: 'UF2 firmware for a microcontroller',
    remedy: 'Copy it as a file onto the drive that the board shows.',
  },
];

/** These decide only where nothing looks like a disk. */
const weak: readonly Signature[] = [
  { matches: isWindowsProgram, what: 'a Windows program', remedy: 'Give the image that it installs.' },
  { matches: isLzmaAlone, what: 'packed with the old LZMA format', remedy: repack },
];

/** Two bytes are chance: these decide only where the name does not announce an image either. */
const short: readonly Signature[] = [
  { matches: text(0, 'hsqs'), ...squash() },
  { matches: text(0, 'MZ'), what: 'a DOS or Windows program', remedy: 'Give the image that it installs.' },
  { matches: at(0, 'c771'), what: 'a cpio archive', remedy: extract },
  { matches: at(0, '1f9d'), what: 'packed with compress', remedy: repack },
];

const textual: readonly (Refusal & { readonly pattern: RegExp })[] = [
  {
    pattern: /^<(!doctype html|html|head|body|title|script)\b/i,
    what: 'a web page (perhaps an error or log-in page saved in place of the download)',
    remedy: again,
  },
  {
    pattern: /^(<\?xml[\s\S]*?)?<bmap\b/,
    what: 'a block map (bmap)',
    remedy: 'Give the image it belongs to, and this file with --bmap.',
  },
  {
    pattern: /^(<\?xml\b|<[a-z][\w:.-]*(\s[^<>]*)?\/?>)/i,
    what: 'an XML document (perhaps an error of a download server)',
    remedy: again,
  },
  {
    pattern: /^(\{\s*("[^"]*"\s*:|\}\s*$)|\[\s*[[{"\]])/,
    what: 'a JSON document (perhaps an error of a download server)',
    remedy: again,
  },
  { pattern: /^#!\s*\//, what: 'a script', remedy: 'Give the image that it installs or downloads.' },
  {
    pattern: /^version https:\/\/git-lfs\./,
    what: 'a Git LFS pointer',
    remedy: 'Run git lfs pull to fetch the file it stands for.',
  },
  {
    pattern: /^-----BEGIN PGP /,
    what: 'a PGP signature or message',
    remedy: 'Give the image that it belongs to.',
  },
  {
    pattern: /^([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})\b([ \t*]+\S|\s*$)/i,
    what: 'a list of checksums',
    remedy: 'Give the image that they belong to.',
  },
];

const nameSuffixes: ReadonlyArray<readonly [RegExp, Refusal]> = [
  [/\.vmdk$/, { what: 'a VMDK virtual disk', remedy: convert }],
  [/\.vhdx?$/, vhd],
  [/\.vdi$/, { what: 'a VirtualBox virtual disk (VDI)', remedy: convert }],
  [/\.dmg$/, dmg],
  [/\.ova$/, { what: 'an OVA archive', remedy: 'Extract it (tar xf) and convert its disk with qemu-img.' }],
  [/\.(squashfs|sqfs|sfs)$/, squash()],
  [/\.(wim|esd|swm)$/, { what: 'a Windows installation archive (WIM)', remedy: extract }],
  [/\.(gho|tib|tibx|mrimg|fsa|vbk)$/, { what: 'a backup in a format of its own', remedy: restore }],
  [/\.(7z|rar|cab|cpio|rpm|deb|xar)$/, { what: 'an archive or package', remedy: extract }],
  [/\.(lz|lzo|lzma|z|br|lrz|sz)$/, { what: 'packed in a way that bty does not read', remedy: repack }],
  [/\.(gpg|asc|sig|pgp)$/, { what: 'encrypted or a signature', remedy: 'Decrypt it first (gpg -d).' }],
  [/\.bmap$/, { what: 'a block map (bmap)', remedy: 'Give the image, and this file with --bmap.' }],
  [/\.torrent$/, { what: 'a torrent', remedy: 'Download the image with a BitTorrent client first.' }],
  [/\.(part|crdownload|download|aria2|filepart)$/, { what: 'an unfinished download', remedy: again }],
];

function squash(): Refusal {
  return {
    what: 'a SquashFS file system, such as the root of a live system',
    remedy: 'Flash the ISO or image it came from.',
  };
}

/** What `head` is by a signature that no disk starts with. */
export function refusedStrongly(head: Uint8Array): Refusal | null {
  return strong.find((signature) => signature.matches(head)) ?? null;
}

/** What `head`, which does not look like a disk, is by a weaker signature or as text. */
export function refusedWeakly(head: Uint8Array): Refusal | null {
  const binary = weak.find((signature) => signature.matches(head));
  if (binary) return binary;
  const start = textOf(head);
  if (start === null) return null;
  return textual.find((entry) => entry.pattern.test(start)) ?? null;
}

/** What `head` is when nothing, not even the name, says that it is an image. */
export function refusedUnnamed(head: Uint8Array): Refusal | null {
  const binary = short.find((signature) => signature.matches(head));
  if (binary) return binary;
  return textOf(head) === null ? null : { what: 'a text file', remedy: again };
}

/** What a whole file is that has the name of an image, but holds only text and no whole number of sectors. */
export function refusedAsText(whole: Uint8Array): Refusal | null {
  if (whole.length >= 512 && whole.length % 512 === 0) return null;
  const content = textOf(whole, whole.length);
  if (content === null) return null;
  const [line = ''] = content.split(/\r?\n/, 1);
  const shown = line.length > 60 ? `${line.slice(0, 60)}...` : line;
  return {
    what: `a text file that begins with "${shown}" (perhaps an error of a download server)`,
    remedy: again,
  };
}

/** What a packed file called `name` is: Clonezilla names its pieces `sda1.ext4-ptcl-img.gz.aa`. */
export function refusedPart(name: string): Refusal | null {
  if (!/-(ptcl|ntfs|dd)-img\b/.test(name)) return null;
  return { what: 'a part of a Clonezilla image', remedy: 'Restore the whole directory with Clonezilla.' };
}

/** What a file called `name` is when its content does not tell. */
export function refusedByName(name: string): Refusal | null {
  const part = refusedPart(name);
  if (part) return part;
  const lower = name.toLowerCase();
  return nameSuffixes.find(([pattern]) => pattern.test(lower))?.[1] ?? null;
}

/**
 * What the last bytes of a file say (at least 512 of them): a fixed VHD (Microsoft, Virtual Hard Disk Image Format
 * Specification) and a DMG are raw or packed disks whose only sign is a trailer of 512 bytes.
 */
export function refusedByTail(tail: Uint8Array): Refusal | null {
  const trailer = tail.length - 512;
  if (trailer < 0) return null;
  if (hasText(tail, trailer, 'conectix\0\0\0')) return vhd;
  if (hasText(tail, trailer, 'koly\0\0\0\x04\0\0\x02\0')) return dmg;
  return null;
}

/** Header of POSIX.1 ustar, GNU or the older v7 tar; the latter only has its checksum to show. */
export function isTar(head: Uint8Array): boolean {
  if (hasText(head, 257, 'ustar')) return true;
  if (head.length < 512 || head[0] === 0 || !isZero(head, 500, 12)) return false;
  const field = String.fromCharCode(...head.subarray(148, 156));
  if (!/^ *[0-7]+[ \0]*$/.test(field)) return false;
  let sum = 0;
  for (let index = 0; index < 512; index++) sum += index >= 148 && index < 156 ? 32 : u8(head, index);
  return Number.parseInt(field, 8) === sum;
}

function isCpio(head: Uint8Array): boolean {
  return ['070701', '070702', '070707'].some(
    (magic) =>
      hasText(head, 0, magic) && /^[0-9a-fA-F]{20}$/.test(String.fromCharCode(...head.subarray(6, 26))),
  );
}

function isVmdk(head: Uint8Array): boolean {
  if (hasText(head, 0, '# Disk DescriptorFile')) return true;
  const magic = hasText(head, 0, 'KDMV') || hasText(head, 0, 'COWD');
  return magic && u32le(head, 4) >= 1 && u32le(head, 4) <= 3;
}

function isWindowsProgram(head: Uint8Array): boolean {
  return hasText(head, 0, 'MZ') && hasText(head, u32le(head, 0x3c), 'PE\0\0');
}

/** LZMA_Alone has no magic: 5d, a round dictionary size, then an unpacked size below 256 GiB or unknown. */
function isLzmaAlone(head: Uint8Array): boolean {
  if (head.length < 14 || head[0] !== 0x5d || head[13] !== 0) return false;
  const dictionary = u32le(head, 1);
  const round = dictionary >= 4096 && (dictionary & (dictionary - 1)) === 0;
  return round && (hasBytes(head, 5, 'ffffffffffffffff') || hasBytes(head, 10, '000000'));
}

/** The start of `head` as text without leading blanks; null when it has bytes that text does not have. */
function textOf(head: Uint8Array, most = 4096): string | null {
  const start = head.subarray(0, most);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they tell binary from text
  const binary = /[\0-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]/;
  const utf16 = hasBytes(start, 0, 'fffe') || (u8(start, 0) === 0x3c && u8(start, 1) === 0);
  const decoded = new TextDecoder(utf16 ? 'utf-16le' : 'utf-8').decode(start, { stream: true }).trimStart();
  return decoded === '' || binary.test(decoded) ? null : decoded;
}
