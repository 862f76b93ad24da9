/** What machines do by themselves: netboot, and what their live system tells. */
import { randomBytes } from 'node:crypto';
import type { Inventory, Plan, Progress, Status } from '../../shared/contract/agent.ts';
import {
  type Action,
  actionOf,
  failedWith,
  finished,
  inventoried,
  netbooted,
  planTaken,
  progressed,
} from '../../shared/machine/life.ts';
import { normalSerial, normalUuid, sameUuid } from '../../shared/machine/mac.ts';
import { Problem } from '../http/problem.ts';
import { newRecord } from './change.ts';
import type { KnownImages } from './images.ts';
import { type Author, type Machines, type MachinesNeeds, unknownMachine } from './machines.ts';
import { type PlanKind, planOf } from './plan.ts';
import { bindingOf, type MachineRecord } from './record.ts';
import type { Tickets } from './tickets.ts';

/** A live system that was heard within this time (milliseconds) is at work. */
const recently = 60_000;

export interface NetbootRequest {
  readonly mac: string;
  readonly address: string;
  /** SMBIOS UUID and serial number as iPXE says them. */
  readonly uuid: string | undefined;
  readonly serial: string | undefined;
  /** Whether a live system is installed that could be started. */
  readonly canStart: boolean;
}

export type BootAction =
  | Action
  /** A live system would be started, and none is installed. */
  | { readonly kind: 'missing'; readonly wanted: 'flash' | 'interactive' | 'inventory' }
  /** It is being flashed just now, and another address asks: that is not it, or it has to wait. */
  | { readonly kind: 'busy' }
  /** Another board came with the MAC of a machine that is to be flashed. */
  | { readonly kind: 'mistaken'; readonly uuid: string };

export interface Netboot {
  readonly record: MachineRecord;
  readonly action: BootAction;
  /** Secret part of the one-use address of the ticket, null when no live system is started. */
  readonly errand: string | null;
}

/** Who is told of each flash, inside the write that says so. */
export interface AfterFlash {
  readonly flashedInside: (record: MachineRecord, author: Author) => void;
}

export class Boots {
  readonly #needs: MachinesNeeds;
  readonly #machines: Machines;
  readonly #tickets: Tickets;
  readonly #images: KnownImages;
  readonly #after: AfterFlash;

  constructor(
    needs: MachinesNeeds,
    machines: Machines,
    tickets: Tickets,
    images: KnownImages,
    after: AfterFlash,
  ) {
    this.#needs = needs;
    this.#machines = machines;
    this.#tickets = tickets;
    this.#images = images;
    this.#after = after;
  }

  /** Inside a write: the clock was set. */
  moveTime(by: number): void {
    this.#machines.store.moveTime(by);
    this.#tickets.moveTime(by);
  }

  /**
   * A machine asks for its script. One that nobody knows is entered. Hundreds ask at once, and one that boots nothing
   * of ours need not wait for the disk: after a power cut it asks again.
   */
  netboot(request: NetbootRequest): Promise<Netboot> {
    return this.#needs.database.write(
      () => {
        const at = this.#needs.clock();
        const author = { actor: 'pxe-client', address: request.address };
        const uuid = normalUuid(request.uuid);
        const serial = normalSerial(request.serial);
        const { record, mistaken } = this.#identified(request.mac, uuid, serial, author, at);
        const seen = { lastSeenAt: at, lastSeenIp: request.address, updatedAt: at };
        const changes = { ...seen, discoveredAt: record.discoveredAt ?? at };
        if (this.#isFlashedElsewhere(record, request.address, at))
          return { record, action: { kind: 'busy' }, errand: null };
        if (mistaken !== null) {
          this.#machines.store.put({ ...record, ...seen });
          this.#tickets.end(record.mac);
          return { record, action: { kind: 'mistaken', uuid: mistaken }, errand: null };
        }
        const binding = bindingOf(record);
        const action = actionOf(record.life, binding, at, this.#machines.limit, newPlanId());
        if (!request.canStart && isLive(action)) {
          // Nothing is booted, so nothing counts as a boot and there is no plan that could be done.
          const rests = netbooted(record.life, { kind: 'nothing' }, binding, at, this.#machines.limit);
          const after = this.#machines.move(record, rests, author, changes);
          this.#tickets.end(record.mac);
          return { record: after, action: { kind: 'missing', wanted: action.kind }, errand: null };
        }
        const life = netbooted(record.life, action, binding, at, this.#machines.limit);
        this.#machines.move(record, life, author, changes);
        const live = isLive(action);
        const errand = live ? this.#tickets.issue(record.mac, request.address, at) : null;
        if (!live) this.#tickets.end(record.mac);
        return { record: { ...record, ...changes, life }, action, errand };
      },
      ({ errand }) => errand === null,
    );
  }

  /** Whether the ticket of that address is still to be fetched. */
  ticketWaits(mac: string, errand: string, address: string): boolean {
    return this.#tickets.waits(mac, errand, address, this.#needs.clock());
  }

  /** The machine fetches its ticket; null when the address was used before, or is another machine's. */
  redeem(mac: string, errand: string, address: string): Promise<string | null> {
    return this.#needs.database.write(() => {
      const redeemed = this.#tickets.redeem(mac, errand, address, this.#needs.clock());
      return redeemed.kind === 'token' ? redeemed.token : null;
    });
  }

  /** Throws the 401 or 403 when `token` is not the one of the boot that runs on `mac`. */
  authorize(mac: string, token: string | undefined, address: string): void {
    if (token === undefined) throw new Problem(401, 'the token of this boot is required');
    switch (this.#tickets.check(mac, token, address, this.#needs.clock())) {
      case 'good':
        return;
      case 'unknown':
        throw new Problem(401, 'this is not the token of the boot that runs on this machine');
      case 'expired':
        throw new Problem(401, 'the token of this boot has expired');
      case 'foreign':
        throw new Problem(403, 'this token belongs to another address');
    }
  }

  /** What the live system of `mac` is to do now. */
  plan(mac: string, address: string): Promise<Plan> {
    return this.#needs.database.write(() => {
      const at = this.#needs.clock();
      const record = this.#known(mac);
      this.#tickets.prolong(mac, at);
      const decided = this.#decided(record, at);
      const { id, kind } = decided;
      if (kind !== 'exit') {
        const author = { actor: 'pxe-client', address };
        this.#machines.move(record, planTaken(record.life, { id, kind }, at), author);
      }
      const image = record.imageSha256 === null ? null : this.#images.find(record.imageSha256);
      return planOf({ ...decided, record, image, config: this.#needs.config });
    });
  }

  inventory(mac: string, inventory: Inventory, address: string): Promise<void> {
    return this.#needs.database.write(() => {
      const at = this.#needs.clock();
      const record = this.#known(mac);
      const { uuid, serial } = inventory.dmi;
      const changes = {
        smbiosUuid: normalUuid(uuid) ?? record.smbiosUuid,
        smbiosSerial: normalSerial(serial) ?? record.smbiosSerial,
      };
      const life = inventoried(record.life, bindingOf(record), at);
      const event = {
        kind: 'machine.inventoried',
        summary: `${mac} told what it is made of.`,
        details: { disks: inventory.disks.length, memory_bytes: inventory.memory_bytes },
      };
      this.#machines.store.putInventory(mac, JSON.stringify(inventory), at);
      this.#machines.move(record, life, { actor: 'pxe-client', address }, changes, event);
    });
  }

  /** False when the plan is no longer the one. */
  progress(mac: string, progress: Progress, address: string): Promise<boolean> {
    return this.#needs.database.write(() => {
      const at = this.#needs.clock();
      const record = this.#known(mac);
      this.#tickets.prolong(mac, at);
      const life = progressed(record.life, progress, at);
      if (life === null) return false;
      this.#machines.move(record, life, { actor: 'pxe-client', address });
      return true;
    });
  }

  status(mac: string, status: Status, address: string): Promise<void> {
    const author = { actor: 'pxe-client', address };
    return this.#needs.database.write(() => {
      const record = this.#known(mac);
      const at = this.#needs.clock();
      if (status.status === 'done') {
        // It is repeated until it was answered; the second time nothing is left to do.
        if (record.life.plan !== status.plan) return;
        const { image_sha256, image_bytes, verified, disk, seconds, notices } = status;
        const details = { image_sha256, image_bytes, verified, disk, seconds, notices, authenticated: true };
        this.#flashed(record, status.after, author, details);
        return;
      }
      const life = failedWith(record.life, status, at);
      if (life === null) return;
      const again = status.again_in === null ? 'it gave up' : `it tries again in ${status.again_in} s`;
      const summary = `${mac} failed while ${status.step}: ${status.failure.message} (${again})`;
      const details = { again_in: status.again_in, advice: status.failure.advice };
      this.#machines.move(record, life, author, {}, { kind: 'machine.failed', summary, details });
    });
  }

  /**
   * `POST /pxe/{mac}/done` of the contract. Without a token it counts only from the address that fetched the script,
   * while its plan is live, and when the settings allow it. Throws the 401, 403 or 404.
   */
  done(mac: string, token: string | undefined, address: string): Promise<void> {
    const record = this.#known(mac);
    const authenticated = token !== undefined;
    if (authenticated) this.authorize(mac, token, address);
    else if (!this.#needs.config.unauthenticatedDone)
      throw new Problem(403, 'this appliance accepts no done without the token of the boot');
    else if (!this.#tickets.isAddressOf(mac, address, this.#needs.clock()))
      throw new Problem(403, 'this address did not fetch the script of that machine');
    else if (record.life.plan === null) {
      // The answer to the first one was lost.
      if (record.life.diskNext) return Promise.resolve();
      throw new Problem(403, 'no plan of that machine is live');
    }
    return this.#needs.database.write(() => {
      const now = this.#known(mac);
      if (now.life.plan === null) return;
      this.#flashed(now, 'reboot', { actor: 'pxe-client', address }, { authenticated });
    });
  }

  #flashed(
    record: MachineRecord,
    after: 'reboot' | 'poweroff' | 'kexec',
    author: Author,
    details: object,
  ): void {
    const at = this.#needs.clock();
    const life = finished(record.life, after, at);
    const once = record.bootPolicy === 'flash-once';
    const changes: Partial<MachineRecord> = {
      lastFlashedAt: at,
      updatedAt: at,
      ...(once ? { bootPolicy: 'local', revision: record.revision + 1 } : {}),
    };
    const flashed = this.#machines.move(record, life, author, changes, {
      kind: 'machine.flashed',
      summary: `${record.mac} was flashed${once ? '; its policy is local from now on' : ''}.`,
      details: { ...details, boot_policy: once ? 'local' : record.bootPolicy },
    });
    this.#after.flashedInside(flashed, author);
  }

  #decided(record: MachineRecord, at: number): { id: string; kind: PlanKind; reason?: string } {
    const { life } = record;
    const id = life.plan ?? newPlanId();
    if (life.diskNext) return { id, kind: 'exit', reason: 'It is done; the disk is booted next.' };
    const action = actionOf(life, bindingOf(record), at, { boots: Number.POSITIVE_INFINITY, minutes: 1 }, id);
    switch (action.kind) {
      case 'flash':
      case 'interactive':
      case 'inventory':
        return { id, kind: action.kind };
      case 'disk':
        return { id, kind: 'exit', reason: 'The machine is to boot its disk.' };
      case 'nothing':
        return { id, kind: 'exit', reason: 'No image is bound to this machine.' };
      case 'stopped':
        return { id, kind: 'exit', reason: life.failure?.message ?? 'The machine was stopped.' };
    }
  }

  /** By MAC first, by SMBIOS UUID and serial number second: USB network adapters wander from board to board. */
  #identified(
    mac: string,
    uuid: string | null,
    serial: string | null,
    author: Author,
    at: number,
  ): { readonly record: MachineRecord; readonly mistaken: string | null } {
    const byMac = this.#machines.store.get(mac);
    const otherBoard =
      byMac !== null && uuid !== null && byMac.smbiosUuid !== null && !sameUuid(uuid, byMac.smbiosUuid);
    if (byMac !== null && !otherBoard) return { record: byMac, mistaken: null };
    const byBoard = uuid === null || serial === null ? null : this.#withBoard(uuid, serial);
    if (byBoard !== null) return { record: byBoard, mistaken: null };
    if (byMac !== null && uuid !== null) {
      this.#machines.append(mac, author, {
        kind: 'machine.identity_failed',
        summary: `Another board came with the address ${mac}; it was not flashed. To accept it, forget the old board.`,
        details: { expected_uuid: byMac.smbiosUuid, uuid, serial },
      });
      return { record: byMac, mistaken: uuid };
    }
    const policy = this.#needs.config.discoveryPolicy;
    const seen = { discoveredAt: at, lastSeenAt: at, lastSeenIp: author.address };
    // What board it is, the inventory of its live system says: anyone can ask for a script.
    const record = newRecord(mac, at, { bootPolicy: policy, ...seen });
    this.#machines.store.put(record);
    this.#machines.append(mac, author, {
      kind: 'machine.discovered',
      summary: `${mac} was met for the first time.`,
      details: { boot_policy: policy, smbios_uuid: uuid, smbios_serial: serial },
    });
    return { record, mistaken: null };
  }

  /** A stranger who asks for the script of a machine must not end its flash. */
  #isFlashedElsewhere({ mac, life }: MachineRecord, address: string, at: number): boolean {
    const flashes = life.phase === 'preparing' || life.phase === 'writing' || life.phase === 'verifying';
    return flashes && Math.abs(at - life.heard) < recently && this.#tickets.isHeldElsewhere(mac, address, at);
  }

  #withBoard(uuid: string, serial: string): MachineRecord | null {
    const found = this.#machines.store
      .withSerial(serial)
      .filter(({ smbiosUuid }) => smbiosUuid !== null && sameUuid(smbiosUuid, uuid));
    return found.length === 1 ? (found[0] ?? null) : null;
  }

  #known(mac: string): MachineRecord {
    const record = this.#machines.store.get(mac);
    if (record === null) throw unknownMachine(mac);
    return record;
  }
}

type LiveAction = Extract<Action, { readonly kind: 'flash' | 'interactive' | 'inventory' }>;

function isLive(action: Action): action is LiveAction {
  return action.kind === 'flash' || action.kind === 'interactive' || action.kind === 'inventory';
}

function newPlanId(): string {
  return randomBytes(12).toString('base64url');
}
