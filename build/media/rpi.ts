/** Builds the appliance for the Raspberry Pi 4 and 5: an image for an SD card that boots into `bty-web`. */
import {
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { buildMissingLocalBoots } from '../../netboot/boot/localboot.ts';
import { buildLive } from '../live/build.ts';
import { sourceDate } from '../release/version.ts';
import { debianBase } from './base.ts';
import { makeExt4, settleTree } from './ext4.ts';
import { run } from './iso.ts';
import { makeRecord } from './mbr.ts';
import { layOverlay } from './overlay.ts';
import {
  appliancePackages,
  type BuiltServer,
  finish,
  layPart,
  type ServerOptions,
  serverTools,
  stateSector,
  unpack,
} from './server.ts';
import { steady } from './usb.ts';

const MiB = 1 << 20;
const sector = 512;
const perMiB = MiB / sector;
const root = join(import.meta.dirname, '..', '..');
/** Two kernels and two initramfs of 100 MB each, while an update replaces one by the other. */
const bootBytes = 512 * MiB;

/** Debian 13 knows the Pi 5, but its network card only in the kernel of its backports. */
const suite = 'trixie';
const components = ['main', 'non-free-firmware'];
/** GRUB is for PCs: what they are sent of it is built on the machine that builds the image. */
const packages = [...appliancePackages.filter((name) => !name.startsWith('grub')), 'raspi-firmware'];
const kernel = 'linux-image-arm64';

export const piTools = [...serverTools, 'qemu-aarch64-static'];

/** Builds `bty-server-rpi-arm64.img` and its packed form in `to`. Needs root. */
export async function buildPi(options: ServerOptions): Promise<BuiltServer> {
  if (process.getuid?.() !== 0) throw new Error('the files of a system belong to root: run it with sudo');
  const { to, say, cache, level, refresh } = options;
  await mkdir(to, { recursive: true });
  const work = await mkdtemp(join(to, '.work-'));
  try {
    const live = join(work, 'live');
    // The machines that it boots are PCs.
    const { bty_version: version } = await buildLive({
      ...{ architecture: 'amd64', kernelSuite: undefined, firmware: false, cache, say, level },
      to: live,
    });
    const base = await debianBase({
      ...{ architecture: 'arm64', suite, components, packages, refresh, say },
      cache: join(root, '.cache', 'media'),
      backports: [kernel],
      hook: join(root, 'netboot', 'live', 'server', 'pi-firmware'),
    });
    const tree = await unpack(base, join(work, 'root'));
    // Only updates of the kernel need its partition: a slow or damaged card must not keep the appliance from starting.
    const boot = 'umask=0077,nofail,x-systemd.device-timeout=30min';
    await layOverlay({
      ...{ tree, architecture: 'arm64', version, live, suite, components, stateSector, serial: null },
      backports: true,
      fstab: `LABEL=BTY_SYSTEM / ext4 errors=remount-ro 0 1\nLABEL=BTY_BOOT /boot/firmware vfat ${boot} 0 2\n`,
    });
    await buildMissingLocalBoots(join(tree, 'usr/lib/bty/boot'), () => true);
    const environment = '[Service]\nEnvironment=BTY_IPXE_DIR=/usr/lib/bty/boot\n';
    await writeFile(join(tree, 'etc/systemd/system/bty-web.service.d/boot.conf'), environment);
    say('Making the card ...');
    const image = join(work, 'card.img');
    await assemble(image, tree, work);
    return await finish(image, to, 'bty-server-rpi-arm64.img', work, level, say);
  } finally {
    await rm(work, { recursive: true });
  }
}

async function assemble(image: string, tree: string, work: string): Promise<void> {
  const boot = join(work, 'boot.img');
  await makeBoot(boot, tree, work);
  const system = join(work, 'system.img');
  const bytes = settleTree(tree, sourceDate());
  const uuid = 'b7e05e52-0b70-4b17-8a5e-000000000013';
  await makeExt4(system, { tree, label: 'BTY_SYSTEM', uuid, bytes });
  const bootFirst = 4 * perMiB;
  const systemFirst = bootFirst + bootBytes / sector;
  await writeFile(image, '');
  await truncate(image, systemFirst * sector + bytes);
  const file = await open(image, 'r+');
  try {
    const record = makeRecord(0xb7e0_5e52, [
      { type: 0x0c, active: true, first: bootFirst, sectors: bootBytes / sector },
      { type: 0x83, active: false, first: systemFirst, sectors: bytes / sector },
    ]);
    await file.write(record, 0, record.length, 0);
  } finally {
    await file.close();
  }
  await layPart(boot, image, bootFirst);
  await layPart(system, image, systemFirst);
}

/** Moves what Debian's hook laid out for the board to a partition of its own. */
async function makeBoot(to: string, tree: string, work: string): Promise<void> {
  const from = join(tree, 'boot', 'firmware');
  const names = await readdir(from);
  for (const needed of [/^vmlinuz-/, /^initrd\.img-/, /^bcm2711-rpi-4-b\.dtb$/, /^bcm2712-rpi-5-b\.dtb$/])
    if (!names.some((name) => needed.test(name))) throw new Error(`${needed.source} is not among ${names}`);
  const config = await readFile(join(from, 'config.txt'), 'utf8');
  if (!/^kernel=vmlinuz-/m.test(config) || !/^initramfs initrd\.img-/m.test(config))
    throw new Error(`config.txt names no kernel:\n${config}`);
  const flat = join(work, 'boot');
  await mkdir(flat);
  // Also the folder of overlays, for whoever adds one to config.txt.
  for (const name of names) await cp(join(from, name), join(flat, name), { recursive: true });
  await copyFile(join(root, 'LICENSE'), join(flat, 'LICENSE.bty'));
  const notice = join(tree, 'usr/share/doc/raspi-firmware/copyright');
  await copyFile(notice, join(flat, 'LICENCE.broadcom'));
  await steady(flat);
  await writeFile(to, '');
  await truncate(to, bootBytes);
  await run('mkfs.vfat', ['--invariant', '-F', '32', '-i', 'b7e05e53', '-n', 'BTY_BOOT', to]);
  const files = (await readdir(flat)).sort().map((name) => join(flat, name));
  await run('mcopy', ['-i', to, '-s', '-m', '-Q', ...files, '::']);
  for (const name of names) await rm(join(from, name), { recursive: true });
}
