/** Programs of another architecture run on this machine while something is built: QEMU as the kernel's interpreter. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { output } from '../live/command.ts';

const place = '/proc/sys/fs/binfmt_misc';
const interpreter = '/usr/bin/qemu-aarch64-static';
/** Head of an ELF file: 64 bits, little endian, any system, executable or library, AArch64 (ELF for the Arm 64). */
const magic = '7f454c460201010000000000000000000200b700';
const mask = 'ffffffffffffff00fffffffffffffffffeffffff';

const escaped = (hex: string): string => hex.replaceAll(/../g, (byte) => `\\x${byte}`);

/** Whether somebody, as Debian's qemu-user-static, has told the kernel already. */
async function isRegistered(): Promise<boolean> {
  for (const name of await readdir(place).catch(() => [])) {
    if (name === 'register' || name === 'status') continue;
    const told = await readFile(join(place, name), 'utf8').catch(() => '');
    // Without the flag F the interpreter would have to lie in every root.
    if (told.startsWith('enabled') && told.includes(`magic ${magic}`) && /flags: \S*F/.test(told))
      return true;
  }
  return false;
}

/** Runs `use` while arm64 programs can be started here; what was registered for it is taken back. Needs root. */
export async function withArm64<Value>(use: () => Promise<Value>): Promise<Value> {
  // The processor of a Pi 4. The largest one that QEMU knows signs pointers, as Debian's programs then want it to, and to
  // imitate that takes longer than all the rest.
  process.env.QEMU_CPU ??= 'cortex-a72';
  if (process.arch === 'arm64' || (await isRegistered())) return use();
  const mounted = (await readFile('/proc/mounts', 'utf8')).includes(` ${place} `);
  if (!mounted) {
    await mkdir(place, { recursive: true });
    await output('mount', ['-t', 'binfmt_misc', 'binfmt_misc', place]);
  }
  const name = `bty-arm64-${process.pid}`;
  try {
    await writeFile(
      join(place, 'register'),
      `:${name}:M::${escaped(magic)}:${escaped(mask)}:${interpreter}:F`,
    );
    return await use();
  } finally {
    await writeFile(join(place, name), '-1').catch(() => {});
    if (!mounted) await output('umount', [place]).catch(() => {});
  }
}
