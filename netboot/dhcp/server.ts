/** DHCP on any number of interfaces, each for itself; settings may change while it runs. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { DhcpInterface, DhcpSettings, DhcpState } from '../../shared/contract/dhcp.ts';
import { asFailure, type Failure, failure } from '../../shared/failure.ts';
import type { Witness } from '../story/step.ts';
import { interfaceAddress } from '../system/native.ts';
import { blockOf, parseAddress } from './address.ts';
import { findServers } from './foreign.ts';
import { type News, Post } from './post.ts';
import type { BootPolicy, Place } from './situation.ts';
import type { Store } from './store.ts';
import { addressesText, type Own, placeOf } from './subnet.ts';

export interface Network {
  readonly name: string;
  readonly mac: string;
  /** Number that a new interface of the same name does not share. */
  readonly index: number;
  readonly addresses: readonly Own[];
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

const indexOf = (name: string): number => Number(readText(`/sys/class/net/${name}/ifindex`));

/** IPv4 interfaces of this machine that are up, by name. */
export function networks(): ReadonlyMap<string, Network> {
  const found = new Map<string, Network>();
  for (const [name, entries] of Object.entries(networkInterfaces())) {
    const own: Own[] = [];
    for (const entry of entries ?? []) {
      const address = entry.family === 'IPv4' ? parseAddress(entry.address) : null;
      const prefix = Number(entry.cidr?.split('/')[1] ?? 32);
      if (address !== null) own.push({ address, block: blockOf(address, prefix) });
    }
    const mac = entries?.[0]?.mac ?? '';
    if (own.length > 0) found.set(name, { name, mac, index: indexOf(name), addresses: own });
  }
  for (const name of waiting(found)) {
    const known = interfaceAddress(name);
    if (known === null) continue;
    const address = parseAddress(known.address.join('.'));
    const mac = readText(`/sys/class/net/${name}/address`);
    const prefix = known.mask.reduce((bits, byte) => bits + (byte.toString(2).match(/1/g)?.length ?? 0), 0);
    if (address !== null) {
      const own = { address, block: blockOf(address, prefix) };
      found.set(name, { name, mac, index: indexOf(name), addresses: [own] });
    }
  }
  return found;
}

/** Interfaces that are up but have no carrier, which Node.js does not list: netdevice(7) IFF_UP. */
function waiting(known: ReadonlyMap<string, unknown>): string[] {
  const isUp = (name: string) => (Number(readText(`/sys/class/net/${name}/flags`)) & 1) === 1;
  return namesIn('/sys/class/net').filter((name) => !known.has(name) && isUp(name));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

export interface DhcpServerOptions {
  readonly store: Store;
  /** Read for every packet, so that it may change. */
  readonly boot: () => BootPolicy;
  readonly witness: Witness;
  readonly news: (news: News) => void;
  /** Called when interfaces may be served that were not, or no longer. */
  readonly changed?: () => void;
  readonly clock: () => number;
  /** Sockets that systemd opened. */
  readonly handed?: ReadonlyMap<string, readonly number[]>;
  /** Milliseconds between looks for changed interfaces, and between searches for other servers. */
  readonly watchEvery?: number;
  readonly searchEvery?: number;
}

interface Served {
  readonly settings: DhcpInterface;
  /** What the interface was when its sockets were opened. */
  readonly signature: string;
  readonly post: Post | null;
  readonly problem: Failure | null;
}

const signatureOf = (network: Network | undefined) =>
  network ? `${network.index} ${network.mac} ${addressesText(network.addresses)}` : 'absent';

const looksPerTry = 15;

export class DhcpServer {
  private readonly options: DhcpServerOptions;
  private readonly served = new Map<string, Served>();
  private readonly stopping = new AbortController();
  private settings: DhcpSettings = { interfaces: [] };
  /** Changes happen one after the other. */
  private turn: Promise<unknown> = Promise.resolve();
  private watcher: NodeJS.Timeout | null = null;
  private searcher: NodeJS.Timeout | null = null;
  private looks = 0;

  constructor(options: DhcpServerOptions) {
    this.options = options;
  }

  start(): void {
    const { watchEvery = 2000, searchEvery = 60_000 } = this.options;
    this.watcher = setInterval(() => this.watch(), watchEvery).unref();
    this.searcher = setInterval(() => void this.search(), searchEvery).unref();
  }

  get current(): DhcpSettings {
    return this.settings;
  }

  private inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const next = this.turn.then(work, work);
    this.turn = next.catch(() => {});
    return next;
  }

  /**
   * Makes `settings` the ones in force. An interface whose settings stay goes on undisturbed. When one of the others
   * cannot be served, nothing changes and that failure is thrown, unless `partly`: then each is judged alone and its
   * problem stands in `states()`.
   */
  apply(settings: DhcpSettings, partly = false): Promise<void> {
    return this.inTurn(async () => {
      const known = networks();
      const before = new Map(this.served);
      const opened: Post[] = [];
      const next = new Map<string, Served>();
      try {
        for (const wanted of settings.interfaces) {
          if (next.has(wanted.interface)) {
            const problem = 'it is named twice';
            throw failure('DHCP_SETTINGS_INVALID', { interface: wanted.interface, problem });
          }
          const running = before.get(wanted.interface);
          const network = known.get(wanted.interface);
          if (running && isSame(running, wanted, signatureOf(network))) {
            next.set(wanted.interface, running);
            continue;
          }
          next.set(wanted.interface, await this.begin(wanted, network, running, opened, partly));
        }
      } catch (error) {
        for (const post of opened) post.close();
        await this.reopen(before);
        this.options.changed?.();
        throw error;
      }
      for (const [name, { post }] of before) if (next.get(name)?.post !== post) post?.close();
      this.served.clear();
      for (const [name, served] of next) this.served.set(name, served);
      this.settings = settings;
      this.options.changed?.();
    });
  }

  private async begin(
    wanted: DhcpInterface,
    network: Network | undefined,
    running: Served | undefined,
    opened: Post[],
    partly: boolean,
  ): Promise<Served> {
    const signature = signatureOf(network);
    try {
      const place = this.place(wanted, network);
      if (place.mode === 'off') return { settings: wanted, signature, post: null, problem: null };
      // Its own sockets are in the way of the new ones.
      running?.post?.close();
      const post = this.makePost(place, network?.mac ?? '');
      await this.refuseSecond(wanted, post);
      await post.open();
      opened.push(post);
      return { settings: wanted, signature, post, problem: null };
    } catch (error) {
      if (!partly) throw error;
      const problem = asFailure(error);
      this.options.news({ interface: wanted.interface, kind: 'trouble', text: problem.message, mac: null });
      return { settings: wanted, signature, post: null, problem };
    }
  }

  /** Opens again what `begin` closed for settings that then failed. */
  private async reopen(before: ReadonlyMap<string, Served>): Promise<void> {
    for (const [name, served] of before) {
      if (served.post === null) continue;
      served.post.close();
      try {
        const post = this.makePost(served.post.place, served.post.options.mac);
        await post.open();
        this.served.set(name, { ...served, post });
      } catch (error) {
        this.served.set(name, { ...served, post: null, problem: asFailure(error) });
      }
    }
  }

  private place(wanted: DhcpInterface, network: Network | undefined): Place {
    const { interface: name } = wanted;
    if (!network && wanted.mode !== 'off') {
      if (existsSync(`/sys/class/net/${name}`)) throw failure('NO_ADDRESS', { interface: name });
      const known = [...networks().keys()].join(', ') || 'none with an address';
      throw failure('NO_SUCH_INTERFACE', { interface: name, known });
    }
    const checked = placeOf(wanted, network?.addresses ?? []);
    if (checked.kind === 'invalid') {
      throw failure('DHCP_SETTINGS_INVALID', { interface: name, problem: checked.problem });
    }
    return checked.value;
  }

  private makePost(place: Place, mac: string): Post {
    const { store, boot, witness, news, clock, handed = new Map() } = this.options;
    return new Post({ place, mac, store, boot, witness, news, clock, handed });
  }

  /** Full mode does not start beside another server, unless it is told to. */
  private async refuseSecond(wanted: DhcpInterface, post: Post): Promise<void> {
    if (wanted.mode !== 'full') return;
    const servers = await this.look(post);
    if (servers.length === 0 || wanted.anyway) return;
    throw failure('FOREIGN_DHCP_SERVER', { interface: wanted.interface, servers: servers.join(', ') });
  }

  private async look(post: Post): Promise<readonly string[]> {
    const { name, addresses } = post.place;
    try {
      const servers = await findServers({
        device: name,
        mac: post.options.mac,
        own: addresses.map(({ address }) => address),
        signal: this.stopping.signal,
        announce: (xid) => post.expectSearch(xid),
      });
      for (const server of servers) post.sawForeign(server);
      return servers;
    } catch (error) {
      const text = `other DHCP servers could not be looked for: ${asFailure(error).message}`;
      this.options.news({ interface: name, kind: 'trouble', text, mac: null });
      return [];
    }
  }

  /** Looks for other servers on every interface. In proxy mode none is the problem. */
  async search(): Promise<void> {
    for (const { post } of [...this.served.values()]) {
      if (!post || this.stopping.signal.aborted) continue;
      const servers = await this.look(post);
      if (servers.length > 0 || post.place.mode !== 'proxy') continue;
      const text = `no DHCP server answers on ${post.place.name}: beside a proxy there must be one`;
      this.options.news({ interface: post.place.name, kind: 'no-server', text, mac: null });
    }
  }

  /** Interfaces come, go and change their addresses: sockets follow. */
  private watch(): void {
    const known = networks();
    // What failed for another reason is tried again now and then.
    const isTime = ++this.looks % looksPerTry === 0;
    const hasChanged = [...this.served].some(
      ([name, { signature, problem }]) =>
        signature !== signatureOf(known.get(name)) || (isTime && problem !== null && known.has(name)),
    );
    if (hasChanged) void this.apply(this.settings, true).catch(() => {});
  }

  states(): readonly DhcpState[] {
    return [...this.served].map(([name, { post, settings, problem }]) =>
      post
        ? post.state()
        : {
            interface: name,
            mode: settings.mode,
            problem: problem?.message ?? null,
            code: problem?.code ?? null,
            advice: problem?.advice ?? null,
            details: problem?.details ?? {},
            addresses: [],
            foreign: [],
            received: 0,
            answered: 0,
            malformed: 0,
            shed: 0,
            unprobed: 0,
          },
    );
  }

  async close(): Promise<void> {
    this.stopping.abort();
    if (this.watcher) clearInterval(this.watcher);
    if (this.searcher) clearInterval(this.searcher);
    await this.inTurn(async () => {
      for (const { post } of this.served.values()) post?.close();
      this.served.clear();
    });
  }
}

function isSame(running: Served, wanted: DhcpInterface, signature: string): boolean {
  return (
    running.problem === null &&
    running.signature === signature &&
    JSON.stringify(running.settings) === JSON.stringify(wanted)
  );
}
