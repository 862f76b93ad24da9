import { constants } from 'node:fs';
import { access, mkdir, readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type {
  ApplianceFacts,
  ApplianceState,
  ApplianceWish,
  LogLine,
  Machines,
} from '../../../shared/app/appliance.ts';
import { networkOf } from '../../../shared/desktop/interface.ts';
import { type DesktopReply, socketName } from '../../../shared/desktop/protocol.ts';
import { asFailure, type FailureReport, failure } from '../../../shared/failure.ts';
import { elevation, isPrivileged } from '../elevate.ts';
import type { Program } from '../program.ts';
import type { Store } from '../store.ts';
import { ApplianceClient, SessionOver } from './client.ts';
import { findAppliance, type Link, startAppliance } from './link.ts';
import { LogTail } from './log.ts';
import { listInterfaces } from './networks.ts';
import { advance, dueAt, type SuperviseAction, type SuperviseEvent } from './supervise.ts';
import { glimpseOf, troublesOf } from './troubles.ts';

/** Milliseconds between two looks at how a running appliance is. */
const period = 1500;
/** Lowest port that the appliance opens: DHCP. */
const lowestPort = 67;

export interface ModeListener {
  readonly changed: (state: ApplianceState) => void;
  readonly machines: (machines: Machines) => void;
  readonly log: (lines: readonly LogLine[]) => void;
  /** The appliance answers, and `cookie` opens its pages; or it does no longer. */
  readonly pages: (open: { readonly url: string; readonly cookie: string } | null) => void;
}

type Listening = Extract<DesktopReply, { kind: 'listening' }>;

/** Appliance mode: one `bty-web` that is watched, and what is known of it. */
export class ApplianceMode {
  readonly #program: Program;
  readonly #folder: string;
  readonly #wish: Store<ApplianceWish | null>;
  readonly #listener: ModeListener;
  readonly #log: LogTail;
  #state: ApplianceState;
  #link: Link | null = null;
  #listening: Listening | null = null;
  #client: ApplianceClient | null = null;
  #asks = false;
  #due: NodeJS.Timeout | null = null;
  #watch: NodeJS.Timeout | null = null;
  #watched: string | null = null;
  #looking = false;
  #hasPool = false;
  #ended: (() => void)[] = [];
  #passwords: ((password: string) => void)[] = [];

  constructor(program: Program, folder: string, wish: Store<ApplianceWish | null>, listener: ModeListener) {
    this.#program = program;
    this.#folder = folder;
    this.#wish = wish;
    this.#listener = listener;
    this.#log = new LogTail(this.#logPath, (lines) => listener.log(lines));
    const problem =
      process.platform === 'linux' ? null : failure('APPLIANCE_NOT_HERE', { platform: process.platform });
    this.#state = {
      stage: { kind: 'off' },
      wish: wish.value,
      interfaces: null,
      problem: problem?.report() ?? null,
      facts: null,
      ownFolder: join(folder, 'images'),
    };
  }

  get state(): ApplianceState {
    return this.#state;
  }

  /** Whether it would end with the app. */
  get needsApp(): boolean {
    const { kind } = this.#state.stage;
    return kind !== 'off' && kind !== 'failed' && !(kind === 'running' && this.#wish.value?.stay === true);
  }

  get #logPath(): string {
    return join(this.#folder, 'log.txt');
  }

  /** Looks for an appliance that was left running. */
  async begin(): Promise<void> {
    if (this.#wish.value === null || this.#state.problem !== null) return;
    const link = await findAppliance(join(this.#folder, 'state', socketName), this.#ears());
    if (link) this.#link = link;
  }

  /** Lists the interfaces anew; on those with a link other DHCP servers are looked for, where that is allowed. */
  async look(): Promise<void> {
    if (this.#state.problem?.code === 'APPLIANCE_NOT_HERE') return;
    await listInterfaces(this.#program, isPrivileged(), (interfaces) => {
      this.#change({ interfaces, problem: null });
    }).catch((error: unknown) => this.#change({ problem: asFailure(error).report() }));
  }

  async start(wish: ApplianceWish): Promise<void> {
    if (this.#state.problem?.code === 'APPLIANCE_NOT_HERE')
      throw failure('APPLIANCE_NOT_HERE', { platform: process.platform });
    if (this.#link) throw failure('APPLIANCE_RUNS', {});
    await usableFolder(wish.imageFolder ?? this.#state.ownFolder);
    await this.#wish.set(wish);
    this.#asks = !isPrivileged() && (await firstOpenPort()) > lowestPort;
    this.#change({ wish });
    this.#tell({ kind: 'start', at: Date.now(), asks: this.#asks });
  }

  stop(): void {
    this.#tell({ kind: 'stop', at: Date.now() });
  }

  /** Stops it, and resolves when it has ended. */
  async close(): Promise<void> {
    this.stop();
    if (this.#link) await new Promise<void>((resolve) => this.#ended.push(resolve));
    this.forget();
  }

  /** Looks at it no more, whatever it does. */
  forget(): void {
    for (const timer of [this.#due, this.#watch]) if (timer) clearTimeout(timer);
    this.#due = null;
    this.#watch = null;
  }

  async setStay(stay: boolean): Promise<void> {
    const wish = this.#wish.value;
    if (wish) await this.#wish.set({ ...wish, stay });
    this.#link?.say({ kind: 'stay', stay });
    this.#change({ wish: this.#wish.value });
  }

  /** A new password for browsers elsewhere. */
  password(): Promise<string> {
    const link = this.#link;
    if (!link || this.#listening === null) return Promise.reject(failure('APPLIANCE_RUNS', {}));
    return new Promise((resolve) => {
      this.#passwords.push(resolve);
      link.say({ kind: 'password' });
    });
  }

  /** Tells the boot story of the machine `mac` from now on, too. */
  async watch(mac: string | null): Promise<Machines> {
    this.#watched = mac;
    return (await this.#machines()) ?? { machines: [], story: null };
  }

  async log(): Promise<readonly LogLine[]> {
    await this.#log.look();
    return this.#log.lines;
  }

  #change(changes: Partial<ApplianceState>): void {
    const before = JSON.stringify(this.#state);
    this.#state = { ...this.#state, ...changes };
    if (JSON.stringify(this.#state) !== before) this.#listener.changed(this.#state);
  }

  #tell(event: SuperviseEvent): void {
    const { stage, actions } = advance(this.#state.stage, event);
    this.#change({ stage });
    this.#wait();
    for (const action of actions) this.#act(action);
  }

  /** Has the time told when it matters next. */
  #wait(): void {
    if (this.#due) clearTimeout(this.#due);
    const due = dueAt(this.#state.stage);
    const ring = () => this.#tell({ kind: 'time', at: Date.now(), asks: this.#asks });
    this.#due = due === null ? null : setTimeout(ring, Math.max(10, due - Date.now()));
  }

  #act(action: SuperviseAction): void {
    switch (action) {
      case 'spawn':
        this.#spawn();
        break;
      case 'ask':
        this.#link?.say({ kind: 'stop' });
        break;
      case 'kill':
        this.#link?.kill();
        break;
    }
  }

  #spawn(): void {
    const wish = this.#wish.value;
    if (!wish) return;
    const words = ['desktop', ...flagsOf(wish, this.#folder, this.#state.ownFolder)];
    const how = elevation(this.#program, this.#asks, words, 'ports');
    if (how.kind === 'impossible') {
      this.#tell({ kind: 'ended', at: Date.now(), failure: how.failure.report() });
      return;
    }
    const begin = async () => {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      const link = startAppliance(how, this.#logPath, this.#ears());
      this.#link = link;
      // Somebody was quicker.
      if (this.#state.stage.kind === 'stopping') link.kill();
      this.#look();
    };
    begin().catch((error: unknown) => this.#end(asFailure(error).report()));
  }

  #ears(): { heard: (reply: DesktopReply) => void; ended: (failure: FailureReport) => void } {
    return { heard: (reply) => this.#hear(reply), ended: (reason) => this.#end(reason) };
  }

  #hear(reply: DesktopReply): void {
    switch (reply.kind) {
      case 'begun':
        this.#tell({ kind: 'begun', at: Date.now() });
        break;
      case 'listening':
        this.#listening = reply;
        this.#hasPool = false;
        this.#link?.say({ kind: 'stay', stay: this.#wish.value?.stay ?? false });
        this.#tell({ kind: 'listening', at: Date.now() });
        this.#link?.say({ kind: 'session' });
        break;
      case 'session':
        void this.#enter(reply.cookie);
        break;
      case 'password':
        for (const resolve of this.#passwords.splice(0)) resolve(reply.password);
        this.#link?.say({ kind: 'session' });
        break;
      case 'failed':
        break;
    }
  }

  #end(reason: FailureReport): void {
    this.#link = null;
    this.#listening = null;
    this.#client = null;
    this.#listener.pages(null);
    this.#change({ facts: null });
    void this.#log.look();
    this.#tell({ kind: 'ended', at: Date.now(), failure: reason });
    for (const resolve of this.#ended.splice(0)) resolve();
  }

  async #enter(cookie: string): Promise<void> {
    const listening = this.#listening;
    if (!listening) return;
    const client = new ApplianceClient(listening.url, cookie);
    this.#client = client;
    try {
      if (await client.hasPages()) this.#listener.pages({ url: listening.url, cookie });
    } catch {
      // It is looked at again soon.
    }
    this.#look();
  }

  /** The addresses that the person chose to be leased, once the appliance serves the interface. */
  async #applyPool(client: ApplianceClient): Promise<void> {
    const { wish } = this.#state;
    if (this.#hasPool || wish?.mode !== 'full' || wish.pool === null) return;
    const addresses = networkInterfaces()[wish.interface] ?? [];
    const [ip, prefix] = addresses.find(({ family }) => family === 'IPv4')?.cidr?.split('/') ?? [];
    if (ip === undefined) return;
    const network = networkOf({ ip, prefix: Number(prefix) });
    this.#hasPool = await client.setPool(wish.interface, network, wish.pool);
  }

  /** Looks at everything now, and again after a while. */
  #look(): void {
    if (this.#watch) clearTimeout(this.#watch);
    const again = () => {
      const { kind } = this.#state.stage;
      if (kind !== 'off' && kind !== 'failed') this.#watch = setTimeout(() => this.#look(), period);
    };
    void this.#glance().finally(again);
  }

  async #glance(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      await this.#log.look();
      const client = this.#client;
      const listening = this.#listening;
      if (!client || !listening) return;
      // What stands in its way is told by the appliance itself, and it is tried again.
      await this.#applyPool(client).catch((error: unknown) => {
        if (error instanceof SessionOver) throw error;
      });
      const facts = await factsOf(client, listening);
      if (this.#client !== client) return;
      this.#change({ facts });
      await this.#machines();
    } catch (error) {
      // A new password ends the sessions of the old one.
      if (error instanceof SessionOver) this.#link?.say({ kind: 'session' });
    } finally {
      this.#looking = false;
    }
  }

  async #machines(): Promise<Machines | null> {
    const client = this.#client;
    if (!client) return null;
    const machines = await client.machines();
    const story = this.#watched === null ? null : await client.story(this.#watched);
    const told = { machines, story };
    this.#listener.machines(told);
    return told;
  }
}

async function factsOf(client: ApplianceClient, listening: Listening): Promise<ApplianceFacts> {
  const name = listening.interface;
  const [dhcp, checks, pages] = await Promise.all([client.dhcp(), client.checks(), client.hasPages()]);
  const port = new URL(listening.url).port;
  const addresses = (networkInterfaces()[name] ?? [])
    .filter(({ family }) => family === 'IPv4')
    .map(({ address }) => `http://${address}:${port}`);
  return {
    interface: name,
    mode: listening.mode,
    imageFolder: listening.imageFolder,
    version: listening.version,
    addresses,
    pages,
    troubles: troublesOf(name, glimpseOf(name), dhcp),
    checks,
  };
}

function flagsOf(wish: ApplianceWish, folder: string, ownFolder: string): readonly string[] {
  return [
    ...['--state-dir', join(folder, 'state'), '--image-root', wish.imageFolder ?? ownFolder],
    ...['--interface', wish.interface, '--dhcp', wish.mode, '--web-port', String(wish.port)],
  ];
}

async function usableFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const problem = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw failure('IMAGE_FOLDER_UNUSABLE', { path, problem }, error);
  }
}

/** Lowest port that needs no right (ip(7) ip_unprivileged_port_start). */
async function firstOpenPort(): Promise<number> {
  const told = await readFile('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').catch(() => '1024');
  return Number(told);
}
