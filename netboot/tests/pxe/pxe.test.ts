/** A bare machine boots from our appliance, flashes itself, reports, and runs what was flashed: the product in one run. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { LabAppliance, type MachineView } from './appliance.ts';
import { Guest, type GuestDisk, type GuestOptions, ovmf } from './guest.ts';
import { type DiskImage, makeImage } from './image.ts';
import { Lab, noLab } from './lab.ts';
import { builtLive } from './live.ts';

const lacking = (): string | false => {
  const files = ['/usr/bin/qemu-system-x86_64', '/usr/bin/mcopy', '/usr/bin/curl', ovmf.code];
  const missing = files.filter((file) => !existsSync(file));
  return missing.length === 0 ? false : `needs ${missing.join(', ')}`;
};
const skip = noLab() || lacking();

interface Flashable extends DiskImage {
  readonly sha256: string;
  readonly name: string;
}

let lab: Lab;
let appliance: LabAppliance;
let image: Flashable;

before(
  async () => {
    if (skip) return;
    await builtLive();
    lab = await Lab.create(2);
    image = await packed(await makeImage(join(lab.folder, 'one.img'), 'BTY-MARKER one'));
    appliance = await LabAppliance.start(lab, 'full');
    await appliance.upload(`${image.path}.zst`, image.name, image.sha256);
  },
  { timeout: 400_000 },
);
after(async () => {
  if (!skip) await lab?.close();
});

async function packed(made: DiskImage): Promise<Flashable> {
  const stored = zstdCompressSync(await readFile(made.path));
  await writeFile(`${made.path}.zst`, stored);
  const name = `${made.path.split('/').at(-1)}.zst`;
  return { ...made, name, sha256: createHash('sha256').update(stored).digest('hex') };
}

const disk = (name: string, more: Partial<GuestDisk> = {}): GuestDisk => ({
  serial: name.toUpperCase(),
  bus: 'virtio',
  file: join(lab.folder, `${name}.disk`),
  bytes: image.bytes,
  ...more,
});

/** Runs `use` with a machine that is switched off afterwards; prints the times of its stages. */
async function withGuest(
  options: Omit<GuestOptions, 'lab'>,
  use: (guest: Guest) => Promise<void>,
): Promise<void> {
  const guest = await Guest.start({ lab, ...options });
  try {
    await use(guest);
  } finally {
    await guest.cutPower();
    const stages = guest.stages.map(({ name, seconds }) => `${name} ${seconds.toFixed(1)}`);
    process.stderr.write(`${options.name}: seconds until ${stages.join(', ')}\n`);
  }
}

const phase = (machine: MachineView): unknown => (machine.state as { phase?: unknown } | undefined)?.phase;

/** Asserts that the disk's bytes are the image's. */
async function holdsImage({ file }: GuestDisk): Promise<void> {
  const [here, there] = [await readFile(file), await readFile(image.path)];
  assert.equal(Buffer.compare(here, there), 0, 'the disk holds the image, byte for byte');
}

async function happened(mac: string, kinds: readonly string[]): Promise<void> {
  const found = (await appliance.events(mac)).map(({ kind }) => kind);
  let from = 0;
  for (const kind of kinds) {
    const at = found.indexOf(kind, from);
    assert.ok(at >= 0, `${kind} is missing among ${found.join(' ')}`);
    from = at + 1;
  }
}

const agentStarts = /bty \d\S+, live system/;

test('BIOS: an unknown machine is discovered, bound, flashed, and runs from its disk ever after', {
  skip,
  timeout: 500_000,
}, async () => {
  const mac = '52:54:00:77:00:01';
  const target = disk('bios');
  await withGuest({ name: 'bios', firmware: 'bios', mac, tap: 0, disks: [target] }, async (guest) => {
    await guest.sees(/iPXE/, 60, 'iPXE');
    await guest.sees(agentStarts, 180, 'the agent');
    await guest.sees(/Waiting for a plan/, 120, 'inventory');
    const known = await appliance.until(mac, 'discovered', 10, () => true);
    assert.equal(known.boot_policy, 'tui');
    await appliance.bind(mac, { image_sha256: image.sha256, boot_policy: 'flash-once' });
    await guest.sees(/Plan: write/, 60, 'plan');
    await guest.sees(/Done: one\.img\.zst is on \/dev\/vda/, 180, 'flashed');
    await guest.sees(/BTY-MARKER one/, 120, 'the flashed system');
    const done = await appliance.until(mac, 'deployed', 10, (each) => phase(each) === 'deployed');
    assert.ok(done.last_flashed_at);
    await holdsImage(target);
    await happened(mac, ['machine.discovered', 'machine.inventoried', 'machine.flashed']);
    await guest.monitor('system_reset');
    await guest.sees(/BTY-MARKER one/, 90, 'the flashed system again');
    assert.doesNotMatch(guest.console.slice(guest.console.lastIndexOf('BTY-MARKER one')), agentStarts);
  });
  const flashes = (await appliance.events(mac)).filter(({ kind }) => kind === 'machine.flashed');
  assert.equal(flashes.length, 1, 'it was flashed once');
});
