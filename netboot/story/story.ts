/** Collects what the servers tell into boots: in memory at once, in the database soon after. */
import type { Hub } from '../events/hub.ts';
import type { Database } from '../store/database.ts';
import type { AddressBook } from './addresses.ts';
import { type Boot, beginsNew, goesOn, newBoot, reached, wantsBoot, withStep } from './boot.ts';
import { type Diagnosis, diagnose } from './diagnose.ts';
import type { Captured } from './pcap.ts';
import type { Datagram, Step, Who, Witness } from './step.ts';
import { BootStore, type KeptBoot } from './store.ts';

export interface StoryNeeds {
  readonly database: Database;
  readonly hub: Hub;
  readonly addresses: AddressBook;
  readonly clock: () => number;
  readonly complain: (problem: string) => void;
  /** Told once when a boot ends or stands still, by the code of its diagnosis. */
  readonly count?: (diagnosis: Diagnosis) => void;
}

interface Current {
  boot: Boot;
  id: number | null;
  waiting: { readonly number: number; readonly captured: Captured }[];
  datagrams: number;
  bytes: number;
  /** Code of the diagnosis that was told last. */
  told: string;
}

/** Milliseconds until steps are written, at least and at most. */
const lag = 300;
const mostLag = 3000;
/** Machines whose current boot is kept in memory. */
const mostCurrent = 8_000;
const mostDatagrams = 1_500;
const mostBytes = 1 << 20;
/** Machines whose last datagrams wait for a step that makes a boot of them, and how many of each. */
const mostEarly = 2000;
const keptEarly = 4;
/** Of a block of TFTP data this much is kept: the file itself is no news. */
const keptOfBlock = 64;

export class Story implements Witness {
  readonly store: BootStore;
  readonly #needs: StoryNeeds;
  readonly #current = new Map<string, Current>();
  readonly #dirty = new Set<Current>();
  #timer: NodeJS.Timeout | null = null;
  readonly #watch: NodeJS.Timeout;
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #lag = lag;

  constructor(needs: StoryNeeds) {
    this.#needs = needs;
    this.store = new BootStore(needs.database);
    this.#watch = setInterval(() => this.#judge(), 5000).unref();
  }

  readonly step = (told: Step): void => {
    const mac = this.#macOf(told);
    if (mac === null) return;
    this.#learn(mac, told);
    const step: Step = { ...told, mac };
    const current = this.#current.get(mac);
    if (current && !beginsNew(current.boot, step)) {
      const alive = aliveIn(current.boot, step);
      current.boot = withStep(alive ? withStep(current.boot, step) : current.boot, alive ?? step);
      this.#changed(current);
      return;
    }
    // A system that renews its address is no boot.
    if (
      !current &&
      !wantsBoot(step) &&
      ['discover', 'request', 'ack', 'inform', 'ignored', 'release', 'offer', 'nak'].includes(step.kind)
    )
      return;
    if (current) this.#settle(current);
    const kept = current ? null : this.#kept(mac, step);
    const next = kept
      ? { ...kept, boot: withStep(kept.boot, step) }
      : { boot: newBoot(step), id: null, waiting: [], datagrams: 0, bytes: 0, told: '' };
    this.#current.delete(mac);
    this.#current.set(mac, next);
    for (const one of this.#early.get(mac) ?? []) this.#capture(next, one);
    this.#early.delete(mac);
    this.#changed(next);
    this.#forget();
  };

  /** The boot that `step` goes on with, of which only the database knows. */
  #kept(mac: string, step: Step): Current | null {
    // Of those the database is not asked, however many ask at once: they begin a boot.
    if (wantsBoot(step)) return null;
    this.#needs.database.flush();
    const [found] = this.store.list(mac, 1);
    if (!found || !goesOn(found, step)) return null;
    const { id, ...boot } = found;
    const captured = this.store.datagrams(id);
    const bytes = captured.reduce((sum, { payload }) => sum + payload.length, 0);
    return { boot, id, waiting: [], datagrams: captured.length, bytes, told: '' };
  }

  /** Datagrams come before the step that they make, so the last few of a machine wait for its boot. */
  #early = new Map<string, Captured[]>();

  readonly datagram = (told: Datagram): void => {
    const mac = this.#macOf(told);
    if (mac === null) return;
    const current = this.#current.get(mac);
    if (current === undefined && told.plain === true) return;
    // A request from firmware may be the first of a new boot: which one it belongs to, its step tells.
    const mayBegin = told.plain !== true && told.to.port === 67 && told.from.port === 68;
    if (!current || (mayBegin && reached(current.boot, 'script'))) {
      const early = this.#early.get(mac);
      if (early === undefined) this.#early.set(mac, [captured(told)]);
      else if (early.push(captured(told)) > keptEarly) early.shift();
      if (this.#early.size > mostEarly) this.#early = new Map([...this.#early].slice(mostEarly / 2));
      return;
    }
    if (hasRoom(current)) this.#capture(current, captured(told));
  };

  /** Boots of a machine, the newest first, as they are now. */
  list(mac: string, limit: number): readonly KeptBoot[] {
    this.#needs.database.flush();
    const current = this.#current.get(mac);
    return this.store
      .list(mac, limit)
      .map((boot) => (current?.id === boot.id ? { ...boot, ...current.boot } : boot));
  }

  get(id: number): KeptBoot | null {
    const boot = this.store.get(id);
    const current = boot === null ? undefined : this.#current.get(boot.mac);
    return boot && current?.id === id ? { ...boot, ...current.boot } : boot;
  }

  /** Writes what waits; answers when it is in the database. */
  async flush(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#writing;
    this.#write();
    await this.#writing;
  }

  async close(): Promise<void> {
    clearInterval(this.#watch);
    await this.flush();
  }

  #macOf({ mac, address }: Who): string | null {
    return mac ?? (address === null ? null : this.#needs.addresses.macOf(address));
  }

  #learn(mac: string, step: Step): void {
    const { addresses } = this.#needs;
    if (step.kind === 'ack') addresses.learn(mac, step.assigned, step.at);
    else if (step.kind === 'request' && step.wanted !== null) addresses.learn(mac, step.wanted, step.at);
    else if (step.mac !== null && step.address !== null && step.kind !== 'offer')
      addresses.learn(mac, step.address, step.at);
  }

  #capture(current: Current, captured: Captured): void {
    current.waiting.push({ number: current.datagrams, captured });
    current.datagrams += 1;
    current.bytes += captured.payload.length;
    this.#changed(current, false);
  }

  #changed(current: Current, news = true): void {
    this.#dirty.add(current);
    this.#arrange();
    if (!news) return;
    const { mac, stage } = current.boot;
    const step = current.boot.steps.at(-1);
    this.#needs.hub.publish({ kind: 'boot-step', key: mac, value: { mac, stage, boot: current.id, step } });
  }

  /** Each boot is a write of its own, so that packets and requests have their turn in between. */
  #write(): void {
    const began = performance.now();
    const all = [...this.#dirty];
    this.#dirty.clear();
    this.#isWriting = true;
    this.#writing = Promise.all(all.map((current) => this.#save(current))).then(() => {
      this.#isWriting = false;
      // Under load steps gather longer: a boot is written whole each time.
      this.#lag = Math.min(mostLag, Math.max(lag, 4 * (performance.now() - began)));
      if (this.#dirty.size > 0) this.#arrange();
    });
  }

  #save(current: Current): Promise<void> {
    let isNew = false;
    const write = this.#needs.database.write(() => {
      isNew = current.id === null;
      current.id ??= this.store.insert(current.boot);
      if (isNew) this.store.trim(current.boot.mac);
      else this.store.update(current.id, current.boot);
      for (const { number, captured } of current.waiting.splice(0))
        this.store.addDatagram(current.id, number, captured);
    });
    return write.catch((error: unknown) => {
      if (isNew) current.id = null;
      this.#needs.complain(String(error));
    });
  }

  #arrange(): void {
    if (this.#isWriting) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#write();
    }, this.#lag);
  }

  #forget(): void {
    if (this.#current.size <= mostCurrent) return;
    const [mac, oldest] = this.#current.entries().next().value ?? [];
    if (mac === undefined || oldest === undefined) return;
    this.#settle(oldest);
    this.#current.delete(mac);
  }

  /** Counts how a boot ended, once. */
  #settle(current: Current): void {
    const diagnosis = diagnose(current.boot, Number.POSITIVE_INFINITY);
    if (current.told === diagnosis.code) return;
    current.told = diagnosis.code;
    this.#needs.count?.(diagnosis);
  }

  /** Tells of boots that stand still now. */
  #judge(): void {
    const now = this.#needs.clock();
    for (const [mac, current] of this.#current) {
      const diagnosis = diagnose(current.boot, now);
      if (diagnosis.state === 'running' || current.told === diagnosis.code) continue;
      current.told = diagnosis.code;
      this.#needs.count?.(diagnosis);
      const { stage } = current.boot;
      const value = { mac, stage, boot: current.id, diagnosis };
      this.#needs.hub.publish({ kind: 'boot-step', key: mac, value });
    }
  }
}

function hasRoom({ datagrams, bytes }: Current): boolean {
  return datagrams < mostDatagrams && bytes < mostBytes;
}

/** What is kept of a datagram. Those of sockets are nobody else's memory; a block is a part of many. */
function captured({ at, from, to, payload }: Datagram): Captured {
  const isBlock = payload.length > keptOfBlock && payload[0] === 0 && payload[1] === 3;
  const kept = isBlock ? Uint8Array.prototype.slice.call(payload, 0, keptOfBlock) : payload;
  return { at, from, to, length: payload.length, payload: kept };
}

/** After a flash, a system that asks for an address without wanting to boot is the installed one. */
function aliveIn(boot: Boot, step: Step): Step | null {
  if (step.kind !== 'discover' && step.kind !== 'request') return null;
  const ended = boot.steps.some(({ kind }) => kind === 'done' || kind === 'reboot' || kind === 'local-boot');
  if (!ended || boot.stage === 'alive' || wantsBoot(step)) return null;
  // Firmware and iPXE ask for their address with a REQUEST too, right after their DISCOVER.
  if (step.kind === 'request' && boot.steps.slice(-4).some(wantsBoot)) return null;
  const { at, mac, address } = step;
  return { at, mac, address, kind: 'alive', sign: 'it asks DHCP for an address' };
}
