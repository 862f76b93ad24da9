/**
 * `localboot.efi`: a small GRUB that starts the loader of the disk. Debian's iPXE can not hand control back to OVMF
 * and to other firmware (`exit` strands it in a menu), and its `sanboot` knows no UEFI disks, so the script chains
 * this over HTTP instead.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { failure } from '../../shared/failure.ts';
import { type LocalBootTarget, localBootTargets } from './binary.ts';

const run = promisify(execFile);
const tool = 'grub-mkimage';
/** Modules that the configuration needs, and no others: the file is sent to every machine. */
const modules = [
  ...['memdisk', 'tar', 'normal', 'part_gpt', 'part_msdos', 'fat', 'chain', 'boot'],
  ...['regexp', 'test', 'echo', 'sleep', 'reboot'],
];

/** Loaders of a disk, best first: the one for removable media is what every installation that we write has. */
function loaders({ loader }: LocalBootTarget): readonly string[] {
  const lower = loader.toLowerCase();
  return [
    `/EFI/BOOT/BOOT${loader}.EFI`,
    `/EFI/debian/shim${lower}.efi`,
    `/EFI/ubuntu/shim${lower}.efi`,
    `/EFI/fedora/shim${lower}.efi`,
    `/EFI/redhat/shim${lower}.efi`,
    `/EFI/debian/grub${lower}.efi`,
    `/EFI/systemd/systemd-boot${lower}.efi`,
    '/EFI/Microsoft/Boot/bootmgfw.efi',
  ];
}

/** Tries every partition of the first disk, then of the next: the order in which firmware lists them. */
export function localBootConfig(target: LocalBootTarget): string {
  return [
    'set pager=0',
    'for part in (hd*,*); do',
    `  for loader in ${loaders(target).join(' ')}; do`,
    '    if test -f "$part$loader"; then',
    '      echo "Starting $part$loader"',
    '      regexp --set=1:root "\\((.*)\\)" "$part"',
    '      if chainloader "$part$loader"; then boot; fi',
    '    fi',
    '  done',
    'done',
    'echo "No disk of this machine holds a loader for UEFI."',
    'echo "The machine starts again in 60 seconds."',
    'sleep 60',
    'reboot',
    '',
  ].join('\n');
}

/** A tar archive of one file, without times or owners, so that the same input is the same output. */
function tarOf(name: string, bytes: Uint8Array): Uint8Array {
  const header = Buffer.alloc(512);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  header.write(name, 0, 100, 'latin1');
  header.write(octal(0o644, 7), 100, 'latin1');
  header.write(octal(0, 7), 108, 'latin1');
  header.write(octal(0, 7), 116, 'latin1');
  header.write(octal(bytes.length, 11), 124, 'latin1');
  header.write(octal(0, 11), 136, 'latin1');
  header.write('        0', 148, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)} `, 148, 'latin1');
  const padding = Buffer.alloc((512 - (bytes.length % 512)) % 512);
  return Buffer.concat([header, bytes, padding, Buffer.alloc(1024)]);
}

/** Whether the loader for `target` can be built here; else what is missing. */
export function localBootNeeds(target: LocalBootTarget): string | null {
  const known = ['/usr/bin', '/usr/local/bin', '/bin'].some((folder) => existsSync(join(folder, tool)));
  if (!known) return 'grub-common';
  return existsSync(join('/usr/lib/grub', target.grub)) ? null : target.package;
}

/** Builds the loader of `target` into the file `path`. Failures: TOOL_MISSING, TOOL_FAILED. */
export function buildLocalBoot(target: LocalBootTarget, path: string): Promise<void> {
  return buildGrub(target, localBootConfig(target), path);
}

/** Builds a GRUB that runs `config`. The same input makes the same bytes. */
export async function buildGrub(target: LocalBootTarget, config: string, path: string): Promise<void> {
  const purpose = `build ${target.name}`;
  if (localBootNeeds(target) !== null) throw failure('TOOL_MISSING', { tool, purpose });
  const folder = await mkdtemp(join(tmpdir(), 'bty-localboot-'));
  try {
    const memdisk = join(folder, 'memdisk.tar');
    const made = join(folder, 'made.efi');
    await writeFile(memdisk, tarOf('boot/grub/grub.cfg', Buffer.from(config)));
    const files = ['-o', made, '-m', memdisk, '-p', '(memdisk)/boot/grub'];
    await run(tool, ['-O', target.grub, ...files, ...modules], {
      env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TMPDIR: folder },
      timeout: 120_000,
    }).catch((error: unknown) => {
      const problem = error instanceof Error ? error.message.slice(0, 500) : String(error);
      throw failure('TOOL_FAILED', { tool, purpose, problem }, error);
    });
    await mkdir(dirname(path), { recursive: true });
    const partial = `${path}.partial`;
    await writeFile(partial, await readFile(made));
    await rename(partial, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Builds what can be built and is not there; answers the names that were made. */
export async function buildMissingLocalBoots(
  built: string,
  missing: (name: string) => boolean,
): Promise<readonly string[]> {
  const made: string[] = [];
  for (const target of localBootTargets) {
    if (!missing(target.name) || localBootNeeds(target) !== null) continue;
    await buildLocalBoot(target, join(built, target.name));
    made.push(target.name);
  }
  return made;
}
