/** What every end-to-end test has: a lab, our appliance in it with an image, and what can be asserted of both. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { zstdCompressSync } from 'node:zlib';
import { type BootStep, type BootView, LabAppliance, type MachineView } from './appliance.ts';
import { Guest, type GuestDisk, type GuestOptions, ovmf } from './guest.ts';
import { type DiskImage, makeImage } from './image.ts';
import { Lab, noLab } from './lab.ts';
import { builtLive } from './live.ts';

const execute = promisify(execFile);

export interface Flashable extends DiskImage {
  readonly sha256: string;
  readonly name: string;
}

const tools: readonly string[] = [
  ...['/usr/bin/qemu-system-x86_64', '/usr/bin/mcopy', '/usr/bin/curl', '/usr/sbin/dnsmasq'],
  ...['/usr/sbin/mkfs.vfat', '/usr/sbin/sgdisk', '/usr/bin/readelf', '/usr/sbin/depmod', ovmf.code],
];

/** Why none of this can run here, false where it can. */
export function noScene(): string | false {
  const missing = tools.filter((file) => !existsSync(file) && !existsSync(file.replace('/usr', '')));
  return noLab() || (missing.length === 0 ? false : `needs ${missing.join(', ')}`);
}

export interface SceneOptions {
  /** `proxy`: another DHCP server leases the addresses. */
  readonly dhcp: 'full' | 'proxy';
  readonly guests?: number;
  readonly settings?: readonly string[];
}

export class Scene {
  readonly lab: Lab;
  readonly appliance: LabAppliance;
  readonly image: Flashable;

  static async make({ dhcp, guests = 1, settings = [] }: SceneOptions): Promise<Scene> {
    await builtLive();
    const lab = await Lab.create(guests);
    try {
      await lab.startRouter(dhcp === 'proxy');
      const image = await packed(await makeImage(join(lab.folder, 'one.img'), 'BTY-MARKER one'));
      const appliance = await LabAppliance.start(lab, dhcp, settings);
      await appliance.upload(`${image.path}.zst`, image.name, image.sha256);
      return new Scene(lab, appliance, image);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  private constructor(lab: Lab, appliance: LabAppliance, image: Flashable) {
    this.lab = lab;
    this.appliance = appliance;
    this.image = image;
  }

  /** Makes and uploads a further image; its system says `BTY-MARKER name`. */
  async add(name: string, mebibytes = 48): Promise<Flashable> {
    const path = join(this.lab.folder, `${name}.img`);
    const made = await makeImage(path, `BTY-MARKER ${name}`, mebibytes);
    const image = await packed(made);
    await this.appliance.upload(`${image.path}.zst`, image.name, image.sha256);
    return image;
  }

  /** An empty disk as large as the image, its serial number like its name. */
  disk(name: string, more: Partial<GuestDisk> = {}): GuestDisk {
    return {
      serial: name.toUpperCase(),
      bus: 'virtio',
      file: join(this.lab.folder, `${name}.disk`),
      bytes: this.image.bytes,
      ...more,
    };
  }

  /** Runs `use` with a machine that is switched off afterwards; prints the times of its stages. */
  async withGuest(options: Omit<GuestOptions, 'lab'>, use: (guest: Guest) => Promise<void>): Promise<void> {
    const guest = await Guest.start({ lab: this.lab, ...options });
    try {
      await use(guest);
    } catch (error) {
      process.stderr.write(`--- the appliance\n${await this.appliance.log}\n`);
      const boots = await this.appliance.boots(options.mac).catch(() => []);
      process.stderr.write(`--- the story\n${boots.toReversed().map(storyText).join('\n')}\n`);
      throw error;
    } finally {
      await guest.cutPower();
      const stages = guest.stages.map(({ name, seconds }) => `${name} ${seconds.toFixed(1)}`);
      process.stderr.write(`${options.name}: seconds until ${stages.join(', ')}\n`);
      for (const boot of (await this.appliance.boots(options.mac).catch(() => [])).toReversed())
        process.stderr.write(`${options.name}, boot ${boot.id}: ${stageTimes(boot)}\n`);
    }
  }

  /**
   * Asserts that one of the machine's boots, 0 the newest, was told as these kinds of steps in this order, `kind=what`
   * naming a step's action, role or form, and that it ended as `code`.
   */
  async told(mac: string, index: number, kinds: readonly string[], code: string): Promise<BootView> {
    const boots = await this.appliance.boots(mac);
    const boot = boots[index];
    assert.ok(boot, `the story has boot ${index} among ${boots.length}`);
    let from = 0;
    for (const wanted of kinds) {
      const at = boot.steps.findIndex((step, each) => each >= from && wordsOf(step).includes(wanted));
      assert.ok(at >= 0, `${wanted} is missing in the story:\n${storyText(boot)}`);
      from = at + 1;
    }
    assert.equal(boot.diagnosis.code, code, storyText(boot));
    return boot;
  }

  /** Asserts that the machine's newest boot flashed it or, when it booted its disk since, the one before. */
  async toldFlash(mac: string, more: readonly string[] = []): Promise<void> {
    const [newest] = await this.appliance.boots(mac);
    const isDisk = newest?.steps.some(({ kind }) => kind === 'local-boot') ?? false;
    if (isDisk) await this.told(mac, 0, ['discover', 'script=disk', 'local-boot'], 'local-boot');
    await this.told(mac, isDisk ? 1 : 0, ['discover', 'offer', ...more, ...flashSteps], 'done');
  }

  /** Asserts that the newest boot failed in `step`, and that its cause says `cause`. */
  async toldFailure(mac: string, step: string, cause: RegExp): Promise<void> {
    const { diagnosis } = await this.told(mac, 0, ['discover', 'agent', 'failed'], 'failed');
    assert.equal(diagnosis.state, 'failed');
    assert.match(diagnosis.cause, new RegExp(`^${step}: `));
    assert.match(diagnosis.cause, cause);
  }

  /** Asserts that the disk's bytes are the image's. */
  async holdsImage({ file }: GuestDisk, image: DiskImage = this.image): Promise<void> {
    const told = await execute('cmp', [file, image.path]).then(
      () => 'same',
      (error: unknown) => String(error),
    );
    assert.equal(told, 'same', 'the disk holds the image, byte for byte');
  }

  /** Asserts that a larger disk holds the image, with a partition table that is made for the disk. */
  async holdsFitted({ file }: GuestDisk): Promise<void> {
    const [here, there] = [await readFile(file), await readFile(this.image.path)];
    // The protective record and the header of the table are written for the disk.
    const [got, wanted] = [here.subarray(1024, there.length), there.subarray(1024)];
    assert.equal(Buffer.compare(got, wanted), 0, 'the disk holds the image');
    assert.match(await this.lab.run('sgdisk', '--verify', file), /No problems found/);
  }

  /** Asserts that the machine's events hold these kinds in this order. */
  async happened(mac: string, kinds: readonly string[]): Promise<void> {
    const found = (await this.appliance.events(mac)).map(({ kind }) => kind);
    let from = 0;
    for (const kind of kinds) {
      const at = found.indexOf(kind, from);
      assert.ok(at >= 0, `${kind} is missing among ${found.join(' ')}`);
      from = at + 1;
    }
  }

  /** Resolves the machine when its life has reached this phase. */
  async reaches(mac: string, wanted: string, seconds = 60): Promise<MachineView> {
    return this.appliance.until(mac, wanted, seconds, (machine) => phaseOf(machine) === wanted);
  }

  close(): Promise<void> {
    return this.lab.close();
  }
}

export function phaseOf(machine: MachineView): unknown {
  return (machine.state as { phase?: unknown } | undefined)?.phase;
}

const flashSteps = [
  ...['script=bootstrap', 'script=flash', 'file=kernel', 'token', 'file=initrd'],
  ...['agent', 'write', 'verify', 'done'],
];

/** A step's kind, alone and with what it is about. */
function wordsOf(step: BootStep): string[] {
  const about = [step.script, step.action, step.role, step.form].filter((each) => typeof each === 'string');
  return [step.kind, ...about.map((each) => `${step.kind}=${each}`)];
}

function storyText({ id, stage, steps, diagnosis }: BootView): string {
  const told = steps.map((step) => `  ${step.at.slice(11, 23)} ${wordsOf(step).at(-1)}`);
  return [`boot ${id} (${stage}): ${diagnosis.code}: ${diagnosis.cause}`, ...told].join('\n');
}

/** Seconds from the first packet of a boot to each kind of step that followed. */
function stageTimes({ steps, diagnosis }: BootView): string {
  const began = Date.parse(steps[0]?.at ?? '');
  const seen = new Set<string>();
  const parts: string[] = [];
  for (const step of steps) {
    const name = wordsOf(step).at(-1) ?? step.kind;
    if (seen.has(name)) continue;
    seen.add(name);
    parts.push(`${name} ${((Date.parse(step.at) - began) / 1000).toFixed(1)}`);
  }
  return `${diagnosis.code}; ${parts.join(', ')}`;
}

/** What the agent's first line looks like. */
export const agentStarts = /bty \d\S+, live system/;

async function packed(made: DiskImage): Promise<Flashable> {
  const stored = zstdCompressSync(await readFile(made.path));
  await writeFile(`${made.path}.zst`, stored);
  const name = `${made.path.split('/').at(-1)}.zst`;
  return { ...made, name, sha256: createHash('sha256').update(stored).digest('hex') };
}
