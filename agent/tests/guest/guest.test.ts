import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { isZero, MiB, makeImage } from '../look.ts';
import type { EventLine } from '../program.ts';
import { findTool, writeInitramfs } from './initramfs.ts';
import { type GuestKernel, guestKernel } from './kernel.ts';
import { type Answer, Guest, type GuestDisk } from './machine.ts';
import { builtProgram } from './program.ts';

const size = 32 * MiB;
const imageSize = 8 * MiB;
const tools = ['lsblk', 'mdadm', 'dmsetup', 'lvm'];

let kernel: GuestKernel | undefined;
const skip = await reasonToSkip();

async function reasonToSkip(): Promise<string | false> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'needs Linux on x86-64';
  const packages = { 'qemu-system-x86_64': 'qemu-system-x86', busybox: 'busybox-static', sfdisk: 'fdisk' };
  const more = {
    mdadm: 'mdadm',
    dmsetup: 'dmsetup',
    lvm: 'lvm2',
    lsblk: 'util-linux',
    depmod: 'kmod',
    ldd: 'libc-bin',
  };
  for (const [tool, debian] of Object.entries({ ...packages, ...more })) {
    const found = await findTool(tool).catch(() => null);
    if (found === null) return `needs ${tool} (apt install ${debian})`;
  }
  try {
    kernel = await guestKernel();
    return false;
  } catch (error) {
    return `needs a kernel package of Debian: ${(error as Error).message.split('\n')[0]}`;
  }
}

const serials = {
  virtio: 'VIRTIO-0001',
  nvme: 'NVME-0002',
  sata: 'SATA-0003',
  usb: 'USB-0004',
  slow: 'USB-0005',
  scsi: 'SCSI-0006',
  uas: 'UAS-0007',
  mapped: 'MAPPED-0008',
  mirror: 'MIRROR-0009',
  mirrored: 'MIRROR-0010',
  swap: 'SWAP-0011',
  volume: 'VOLUME-0012',
} as const;
type DiskName = keyof typeof serials;

const onBus: Readonly<Record<DiskName, GuestDisk['bus']>> = {
  virtio: 'virtio',
  nvme: 'nvme',
  sata: 'sata',
  usb: 'usb',
  slow: 'usb',
  scsi: 'scsi',
  uas: 'uas',
  mapped: 'virtio',
  mirror: 'virtio',
  mirrored: 'virtio',
  swap: 'virtio',
  volume: 'virtio',
};
const diskNames = Object.keys(serials) as DiskName[];

interface Listed {
  readonly path: string;
  readonly serial: string | null;
  readonly tran: string | null;
}

let folder = '';
let guest: Guest;
let image: Buffer = Buffer.alloc(0);
const paths = new Map<DiskName, string>();

before(async () => {
  if (skip || !kernel) return;
  folder = await mkdtemp(join(tmpdir(), 'bty-guest-'));
  image = await makeImage(join(folder, 'image.img'), imageSize);
  const initramfs = join(folder, 'initramfs');
  const files = new Map([['/image.img.zst', zstdCompressSync(image)]]);
  await writeInitramfs(initramfs, { kernel, bty: await builtProgram(), tools, files });
  const disks: GuestDisk[] = [];
  for (const name of diskNames) {
    const file = await open(backing(name), 'w');
    await file.truncate(size);
    await file.close();
    const slow = name === 'slow' ? { writeRate: MiB } : {};
    disks.push({ id: name, bus: onBus[name], serial: serials[name], file: backing(name), ...slow });
  }
  guest = await Guest.start({ folder, kernel: kernel.image, initramfs, disks });
  // Drivers find their disks on their own time.
  const found = `[ $(ls -d /sys/block/vd* /sys/block/sd* /sys/block/nvme* | wc -l) -ge ${diskNames.length} ]`;
  await guest.run(`for i in $(seq 300); do ${found} && break; usleep 100000; done`);
});
after(async () => {
  await guest?.stop();
  if (folder) await rm(folder, { recursive: true });
});

const backing = (name: DiskName): string => join(folder, `${name}.raw`);
const pathOf = (name: DiskName): string => paths.get(name) ?? `/dev/no-${name}`;

async function list(): Promise<readonly Listed[]> {
  const { code, stdout, stderr } = await guest.run('bty list disks --json');
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { disks: Listed[] }).disks;
}

const flashCommand = (targets: readonly string[], ...more: readonly string[]): string => {
  const named = targets.map((target) => `--target ${target}`).join(' ');
  return `bty flash --image /image.img.zst ${named} --yes --progress ndjson ${more.join(' ')}`;
};

const eventsOf = ({ stdout }: Answer): readonly EventLine[] =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as EventLine);

async function succeeds(command: string): Promise<Answer> {
  const answer = await guest.run(command);
  assert.equal(answer.code, 0, `${command}: ${answer.stdout}${answer.stderr}`);
  return answer;
}

/** Asserts that a flash is refused with these sentences, and that the disks stay as they are. */
async function refused(
  targets: Readonly<Partial<Record<DiskName, string>>>,
  sentences: readonly RegExp[],
  ...more: readonly string[]
): Promise<void> {
  const names = Object.keys(targets) as DiskName[];
  const contents = () => Promise.all(names.map((name) => readFile(backing(name))));
  await succeeds('sync');
  const before = await contents();
  const answer = await guest.run(flashCommand(Object.values(targets), ...more));
  for (const sentence of sentences) assert.match(answer.stderr, sentence);
  assert.equal(answer.code, 1, answer.stderr);
  assert.deepEqual(eventsOf(answer), []);
  for (const [index, found] of (await contents()).entries())
    assert.equal(Buffer.compare(found, before[index] ?? Buffer.alloc(0)), 0, `${names[index]} was written`);
}

test('every disk is listed with its serial number and its transport', { skip }, async () => {
  const disks = await list();
  const told = Object.fromEntries(disks.map(({ serial, tran }) => [serial, tran]));
  const transport = { virtio: 'virtio', nvme: 'nvme', sata: 'sata', usb: 'usb', uas: 'usb', scsi: 'virtio' };
  const expected = diskNames.map((name) => [serials[name], transport[onBus[name]]]);
  assert.deepEqual(told, Object.fromEntries(expected));
  for (const name of diskNames)
    paths.set(name, disks.find(({ serial }) => serial === serials[name])?.path ?? '');
});

/** Asserts that the image is on the disk, and that the system has read its partition table. */
async function arrived(answer: Answer, name: DiskName): Promise<void> {
  const events = eventsOf(answer).filter(({ target }) => target === pathOf(name));
  assert.equal(events.find(({ event }) => event === 'done')?.verified, true);
  assert.ok(events.some(({ event }) => event === 'partprobed'));
  const found = await readFile(backing(name));
  assert.equal(Buffer.compare(found.subarray(0, imageSize), image), 0);
  await succeeds(`test -b ${partitionOf(name)}`);
}

const partitionOf = (name: DiskName): string => `${pathOf(name)}${onBus[name] === 'nvme' ? 'p' : ''}1`;

for (const name of ['usb', 'nvme'] as const) {
  test(`only the ${name} disk with the expected serial number gets the image`, { skip }, async () => {
    const target = { [name]: pathOf(name) };
    const sentence = new RegExp(
      `is not the expected disk: its serial number is ${serials[name]}, expected ${serials.sata}`,
    );
    await refused(target, [sentence], `--expect-serial ${serials.sata}`);
    const answer = await guest.run(flashCommand([pathOf(name)], `--expect-serial ${serials[name]}`));
    assert.equal(answer.code, 0, answer.stderr);
    await arrived(answer, name);
  });
}

test('disks on four kinds of bus get the image at once', { skip }, async () => {
  const names = ['virtio', 'sata', 'scsi', 'uas'] as const;
  const answer = await guest.run(flashCommand(names.map(pathOf)));
  assert.equal(answer.code, 0, answer.stderr);
  assert.equal(eventsOf(answer).at(-1)?.note, '4 of 4 flashed');
  for (const name of names) await arrived(answer, name);
});

test('partitions and disks in use are refused, each with its reason', { skip }, async () => {
  const mounted = partitionOf('nvme');
  await succeeds(`mke2fs ${mounted} && mount -o ro ${mounted} /mnt`);
  const mapped = pathOf('mapped');
  const table = `0 $(blockdev --getsz ${mapped}) linear ${mapped} 0`;
  await succeeds(`dmsetup create --noudevsync --noudevrules kept --table "${table}"`);
  const members = `${pathOf('mirror')} ${pathOf('mirrored')}`;
  await succeeds(`mdadm --create /dev/md0 --level=1 --raid-devices=2 --metadata=1.2 --run ${members}`);
  await succeeds('mdadm --wait /dev/md0; true');
  // There is no udev in this machine for LVM to wait for.
  const alone = `--config 'activation { udev_sync = 0 udev_rules = 0 }'`;
  await succeeds(`lvm pvcreate ${alone} ${pathOf('volume')}`);
  await succeeds(`lvm vgcreate ${alone} group ${pathOf('volume')}`);
  await succeeds(`lvm lvcreate ${alone} --extents 1 --name home --wipesignatures n --zero n group`);
  await succeeds(`mkswap ${pathOf('swap')} && swapon ${pathOf('swap')}`);
  const disks = {
    nvme: pathOf('nvme'),
    mapped,
    mirror: pathOf('mirror'),
    mirrored: pathOf('mirrored'),
    swap: pathOf('swap'),
    volume: pathOf('volume'),
    sata: partitionOf('sata'),
  };
  await refused(disks, [
    new RegExp(`${disks.nvme} is in use: mounted at /mnt`),
    new RegExp(`${mapped} is in use: ${mapped} belongs to .*kept`),
    new RegExp(`${disks.mirror} is in use: ${disks.mirror} belongs to .*md0`),
    new RegExp(`${disks.mirrored} is in use: ${disks.mirrored} belongs to .*md0`),
    new RegExp(`${disks.volume} is in use: ${disks.volume} belongs to the LVM volume group-home`),
    new RegExp(`${disks.swap} is in use: ${disks.swap} is swap space`),
    new RegExp(`${disks.sata} is a partition of ${pathOf('sata')}, not a whole disk`),
  ]);
});

test('a USB disk that is pulled out in the middle of a flash has vanished', { skip }, async () => {
  let pulled: Promise<void> | undefined;
  const answer = await guest.run(flashCommand([pathOf('slow')]), (line) => {
    if (line.includes('"writing_progress"')) pulled ??= guest.unplug('slow');
  });
  assert.ok(pulled, 'it was in the middle of it');
  await pulled;
  assert.equal(answer.code, 1, answer.stderr);
  const events = eventsOf(answer);
  const failed = events.filter(({ event }) => event === 'failed');
  assert.equal(failed.length, 1);
  assert.equal(failed[0]?.code, 'DISK_VANISHED', answer.stderr);
  assert.equal(events.at(-1)?.outcome, 'failed');
  assert.ok(!events.some(({ event }) => event === 'done'));
  assert.ok(isZero((await readFile(backing('slow'))).subarray(0, MiB)), 'it cannot boot');
  assert.ok(!(await list()).some(({ serial }) => serial === serials.slow));
});
