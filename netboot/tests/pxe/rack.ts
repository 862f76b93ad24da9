/** Machines that are bound to an image before they are switched on, and what every one of them has to come to. */
import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import type { Guest, GuestDisk, GuestOptions } from './guest.ts';
import { phaseOf, type Scene } from './scene.ts';

export interface BoundOptions extends Partial<Omit<GuestOptions, 'lab' | 'name' | 'mac' | 'disks'>> {
  readonly disk?: Partial<GuestDisk>;
  /** Disks beside the one that is bound, before it. */
  readonly others?: readonly GuestDisk[];
  readonly sha256?: string;
  readonly policy?: string;
}

export class Rack {
  readonly #scene: Scene;
  #next = 1;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** Binds a new machine to the image, boots it, and runs `use` with it. */
  async bound(
    name: string,
    options: BoundOptions,
    use: (guest: Guest, mac: string, disk: GuestDisk) => Promise<void>,
  ): Promise<void> {
    const { disk: own, others = [], sha256, policy = 'flash-once', ...machine } = options;
    const mac = `52:54:00:78:00:${(this.#next++).toString(16).padStart(2, '0')}`;
    const disk = this.#scene.disk(name, own);
    await this.#scene.appliance.bind(mac, {
      image_sha256: sha256 ?? this.#scene.image.sha256,
      boot_policy: policy,
      target_disk_serial: disk.serial,
    });
    const common = { name, firmware: 'bios', mac, tap: 0, disks: [...others, disk] } as const;
    await this.#scene.withGuest({ ...common, ...machine }, (guest) => use(guest, mac, disk));
  }

  async writing(mac: string, bytes: number): Promise<void> {
    await this.#scene.appliance.until(mac, 'being written', 300, (machine) => {
      const state = machine.state as { step: string | null; bytes: number | null };
      return state.step === 'writing' && (state.bytes ?? 0) >= bytes;
    });
  }

  /** The machine flashes itself, runs what was flashed, and the appliance knows and can tell how. */
  async deployed(guest: Guest, mac: string, disk: GuestDisk): Promise<void> {
    const scene = this.#scene;
    await guest.sees(/Done: \S+ is on/, 400, 'flashed');
    await guest.sees(/BTY-MARKER one/, 200, 'the flashed system');
    const machine = await scene.reaches(mac, 'deployed');
    assert.ok(machine.last_flashed_at);
    if (disk.bytes === scene.image.bytes) await scene.holdsImage(disk);
    else await scene.holdsFitted(disk);
    await scene.happened(mac, ['machine.booting', 'machine.writing', 'machine.flashed', 'machine.deployed']);
    await scene.toldFlash(mac);
  }

  /** The appliance knows that the flash failed in `step` and why, calls the machine undeployed, and can tell. */
  async failed(mac: string, step: string, code: string, cause: RegExp): Promise<void> {
    const machine = await this.#scene.appliance.until(mac, `failed with ${code}`, 300, (each) => {
      const { failure } = each.state as { failure: { code: string } | null };
      return phaseOf(each) === 'failed' && failure?.code === code;
    });
    assert.equal(machine.last_flashed_at, null);
    await this.#scene.happened(mac, ['machine.booting', 'machine.failed']);
    await this.#scene.toldFailure(mac, step, cause);
  }

  /** Asserts that a disk which was written to in part is not bootable by anybody's mistake. */
  async startsBlank({ file }: GuestDisk): Promise<void> {
    const handle = await open(file);
    const start = Buffer.alloc(1 << 20);
    await handle.read(start, 0, start.length, 0);
    await handle.close();
    assert.ok(
      start.every((byte) => byte === 0),
      'the start of the torn disk is blank',
    );
  }
}
