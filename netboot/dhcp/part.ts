/** DHCP as a part of the appliance: settings that last, what is told to whom, and what routes may ask of it. */
import { mkdirSync, readFileSync, renameSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Check } from 'typebox/value';
import { type BootOverride, DhcpSettings } from '../../shared/contract/dhcp.ts';
import { failure } from '../../shared/failure.ts';
import type { Part } from '../appliance.ts';
import { bootFilesOf } from '../boot/part.ts';
import type { Config } from '../config/settings.ts';
import type { Listening } from '../http/server.ts';
import type { Services } from '../services.ts';
import type { Step } from '../story/step.ts';
import { handedSockets } from '../system/handed.ts';
import { listen, witnessOf } from '../witness.ts';
import { parseAddress } from './address.ts';
import type { Client } from './client.ts';
import type { News } from './post.ts';
import { DhcpServer, networks } from './server.ts';
import type { BootPolicy, Override, Place } from './situation.ts';
import { Store } from './store.ts';
import { placeOf } from './subnet.ts';
import { Told } from './told.ts';

const settingsFile = (folder: string) => join(folder, 'settings.json');

/** Settings of the last run; none when there are none, and null when they cannot be read. */
export function savedSettings(folder: string): DhcpSettings | null {
  try {
    const value: unknown = JSON.parse(readFileSync(settingsFile(folder), 'utf8'));
    return Check(DhcpSettings, value) ? value : null;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { interfaces: [] };
    return null;
  }
}

/** What flags say, over what was saved: the interfaces they name, with the rest of those settings kept. */
export function startSettings(config: Config, saved: DhcpSettings): DhcpSettings {
  if (config.interface.length === 0) return saved;
  const interfaces = config.interface.map((name) => ({
    ...saved.interfaces.find((one) => one.interface === name),
    interface: name,
    mode: config.dhcp,
    ...(config.dhcpAnyway ? { anyway: true } : {}),
  }));
  return { ...saved, interfaces };
}

export function bootPolicy(
  httpPort: number,
  has: (file: string) => boolean,
  settings: () => DhcpSettings,
): BootPolicy {
  return {
    httpPort,
    scriptPath: '/pxe-bootstrap.ipxe',
    filePath: '/boot/',
    has,
    overrideFor: (client) => overrideFor(client, settings()),
  };
}

function overrideFor(client: Client, settings: DhcpSettings): { override: Override; from: string } | null {
  const all = settings.overrides ?? [];
  const byMac = all.find(({ match }) => 'mac' in match && match.mac === client.mac);
  const byClass = all
    .filter(({ match }) => 'vendorClass' in match && client.vendorClass?.startsWith(match.vendorClass))
    .sort((a, b) => lengthOf(b.match) - lengthOf(a.match))[0];
  const found = byMac ?? byClass;
  if (!found) return null;
  const { flavor = null, file = null, form = null } = found;
  const from = 'mac' in found.match ? 'this machine' : `the class ${found.match.vendorClass}`;
  return { override: { flavor, file, form }, from };
}

const lengthOf = (match: BootOverride['match']) => ('vendorClass' in match ? match.vendorClass.length : 0);

/** Port on which machines reach HTTP: the boot listener, else the first without TLS. */
function bootPortOf(listening: readonly Listening[]): number {
  const found = listening.find(({ plane }) => plane === 'boot') ?? listening.find(({ secure }) => !secure);
  return found?.port ?? 80;
}

export class Dhcp implements Part {
  readonly name = 'dhcp';
  readonly store: Store;
  readonly server: DhcpServer;
  readonly boot: BootPolicy;
  private readonly folder: string;
  private readonly closers: (() => void)[] = [];
  private readonly told = new Told();
  private readonly services: Services;

  private constructor(services: Services, folder: string, store: Store, port: number) {
    this.services = services;
    this.folder = folder;
    this.store = store;
    const files = bootFilesOf(services);
    this.boot = bootPolicy(
      port,
      (file) => files.has(file),
      () => this.server.current,
    );
    this.server = new DhcpServer({
      store,
      boot: () => this.boot,
      witness: witnessOf(services),
      news: (news) => this.hear(news),
      changed: () => services.hub.publish({ kind: 'notice', key: 'dhcp', value: { about: 'dhcp' } }),
      clock: services.clock,
      handed: handedSockets(process.env, process.pid),
    });
    this.closers.push(listen(services, { step: (step) => this.learn(step) }));
  }

  static async start(services: Services, listening: readonly Listening[]): Promise<Dhcp> {
    const { config, log } = services;
    const folder = join(config.stateDir, 'dhcp');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const store = await Store.open(join(folder, 'leases.journal'), {
      onFailure: (error) => log.error('leases', { problem: String(error) }),
      onRecovery: () => log.info('leases', { problem: null, text: 'leases are saved again' }),
    });
    if (store.report.damaged > 0) {
      log.warn('leases', { damaged: store.report.damaged, copy: 'leases.journal.damaged' });
    }
    const dhcp = new Dhcp(services, folder, store, bootPortOf(listening));
    let saved = savedSettings(folder);
    if (saved === null) {
      log.error('dhcp', { problem: 'settings.json cannot be read; it is kept as settings.json.damaged' });
      renameSync(settingsFile(folder), `${settingsFile(folder)}.damaged`);
      saved = { interfaces: [] };
    }
    dhcp.server.start();
    // Starting must not wait for the search for other servers.
    dhcp.starting = dhcp.server.apply(startSettings(config, saved), true);
    dhcp.starting.catch((error: unknown) => log.error('dhcp', { problem: String(error) }));
    services.readiness.push(() => dhcp.readiness());
    return dhcp;
  }

  /** Resolves when the settings of the start are in force. */
  starting: Promise<void> = Promise.resolve();

  private readiness() {
    const bad = this.server.states().find(({ problem }) => problem !== null);
    const reason = this.store.problem?.message ?? bad?.problem ?? null;
    return { name: 'dhcp', ok: reason === null, reason };
  }

  /** Changes the settings for now and for later starts. */
  async configure(settings: DhcpSettings): Promise<void> {
    await this.server.apply(settings);
    const path = settingsFile(this.folder);
    const file = await open(`${path}.new`, 'w', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(settings, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
  }

  /** Interfaces as they are served, and those that are off, for explanations. */
  places(): Place[] {
    const known = networks();
    return this.server.current.interfaces.flatMap((settings) => {
      const checked = placeOf(settings, known.get(settings.interface)?.addresses ?? []);
      return checked.kind === 'valid' ? [checked.value] : [];
    });
  }

  /** What other servers see of a machine tells whether the form of its offer worked. */
  private learn(step: Step): void {
    const isFetch = step.kind === 'tftp-start' || (step.kind === 'file' && step.role === 'binary');
    if (!isFetch && step.kind !== 'script') return;
    const address = step.address === null ? null : parseAddress(step.address);
    const mac = step.mac ?? (address === null ? null : (this.store.book.at(address)?.mac ?? null));
    if (mac === null) return;
    if (isFetch) this.store.memory.fetched(mac, step.at);
    else this.store.memory.scripted(mac);
  }

  private hear(heard: News): void {
    const news = this.told.of(heard, this.services.clock());
    if (news === null) return;
    const isMinor = news.kind === 'malformed';
    this.services.log[isMinor ? 'debug' : 'warn']('dhcp', { ...news });
    if (isMinor) return;
    const { database, events } = this.services;
    const subject =
      news.mac === null ? (['network', news.interface] as const) : (['machine', news.mac] as const);
    const event = {
      kind: `network.${news.kind}`,
      subject,
      actor: 'system',
      address: null,
      summary: news.text.slice(0, 500),
    };
    database
      .write(() => events.append(event))
      .catch((error: unknown) => this.services.log.error('dhcp', { problem: String(error) }));
  }

  readonly close = async (): Promise<void> => {
    for (const end of this.closers) end();
    await this.server.close();
    await this.store.close();
  };
}

const parts = new WeakMap<Services, Dhcp>();

/** DHCP of this appliance, once it has started. */
export function dhcpOf(services: Services): Dhcp {
  const found = parts.get(services);
  if (!found) throw failure('INTERNAL', { problem: 'DHCP has not started yet' });
  return found;
}

export async function dhcpPart(services: Services, listening: readonly Listening[]): Promise<Part> {
  const dhcp = await Dhcp.start(services, listening);
  parts.set(services, dhcp);
  return dhcp;
}
