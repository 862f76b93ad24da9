/** One interface that is served: packets in, decisions, leases on disk, replies out. */
import type { DhcpState } from '../../shared/contract/dhcp.ts';
import type { Witness } from '../story/step.ts';
import { formatAddress, holds, type Ipv4 } from './address.ts';
import { type Client, hardwareKeyOf, macOf } from './client.ts';
import { Conflicts, conflictText } from './conflict.ts';
import { quarantine } from './full.ts';
import type { Lease } from './lease.ts';
import { LeftOut } from './leftout.ts';
import { Link, type Received } from './link.ts';
import { decide } from './offer.ts';
import { byteIn, MessageType, Option, textIn } from './option.ts';
import { encode, type Packet, parse } from './packet.ts';
import type { BootPolicy, Decision, Place, Reply, Situation } from './situation.ts';
import type { Store } from './store.ts';
import { addressesText } from './subnet.ts';
import { stepsOf } from './tell.ts';

/** Something that a person should hear of, once in a while. */
export interface News {
  readonly interface: string;
  readonly kind:
    | 'boot-loop'
    | 'pool-empty'
    | 'declined'
    | 'conflict'
    | 'foreign-server'
    | 'unprobed'
    | 'malformed'
    | 'trouble'
    | 'no-server';
  readonly text: string;
  readonly mac: string | null;
}

export interface PostOptions {
  readonly place: Place;
  /** Hardware address of the interface. */
  readonly mac: string;
  readonly store: Store;
  readonly boot: () => BootPolicy;
  readonly witness: Witness;
  readonly news: (news: News) => void;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly handed: ReadonlyMap<string, readonly number[]>;
}

const unasked = Symbol('unasked');

/** Leases that wait for the disk; beyond it new clients wait for their next try, so that known ones are served. */
const mostWaiting = 4096;
/** Addresses asked about before they are needed, when half of them are not. */
const stock = 256;
/** Milliseconds of full turns that are a burst, or a processor that was busy elsewhere, and no overload yet. */
const longestBurst = 200;
/** New machines in a second whose addresses are asked about while they wait; in a storm nobody waits for that. */
const mostAsking = 32;
/** Milliseconds. */
const restockEvery = 250;
const mostConflicts = 4;
const anyVisitor = 600_000;

export class Post {
  readonly place: Place;
  readonly options: PostOptions;
  private link: Link | null = null;
  private readonly conflicts: Conflicts;
  private readonly own: readonly Ipv4[];
  private readonly foreign = new Map<string, number>();
  private lastForeign: string | null = null;
  /** Numbers of our own DISCOVERs, which come back to us. */
  private readonly ownSearches: number[] = [];
  private fullSince: number | null = null;
  private overloaded = false;
  private shed = 0;
  private readonly leftOut = new LeftOut();
  private unprobed = 0;
  private demand = { since: 0, count: 0, before: 0 };
  private stocking = false;
  private restocked = Number.NEGATIVE_INFINITY;
  private restocker: NodeJS.Timeout | undefined;
  private received = 0;
  private answered = 0;
  private malformed = 0;

  constructor(options: PostOptions) {
    this.options = options;
    this.place = options.place;
    this.own = options.place.addresses.map(({ address }) => address);
    const device = options.place.name;
    this.conflicts = new Conflicts({
      device,
      send: (address, port) => this.link?.send(67, this.own[0] ?? 0, new Uint8Array(0), { address, port }),
    });
  }

  async open(): Promise<void> {
    const { place, options } = this;
    this.link = await Link.open({
      device: place.name,
      addresses: this.own,
      ports: [67, 4011],
      handed: options.handed,
      receive: (received) => this.receive(received),
      turned: (full) => this.turned(full),
      complain: (text) => this.tell('trouble', text),
    });
    this.restocker = setInterval(() => this.restock(), 2000).unref();
    this.restock();
  }

  close(): void {
    clearInterval(this.restocker);
    this.link?.close();
    this.link = null;
  }

  /** The next number of a DISCOVER that is our own. */
  expectSearch(xid: number): void {
    this.ownSearches.push(xid);
    if (this.ownSearches.length > 8) this.ownSearches.shift();
  }

  sawForeign(server: string): void {
    const now = this.options.clock();
    const before = this.foreign.get(server);
    this.foreign.delete(server);
    this.foreign.set(server, now);
    this.lastForeign = server;
    if (this.foreign.size > 64) this.foreign.delete(this.foreign.keys().next().value ?? '');
    if (before !== undefined && now - before < anyVisitor) return;
    if (this.place.mode === 'full') {
      this.tell('foreign-server', `another DHCP server, ${server}, leases addresses on ${this.place.name}`);
    }
  }

  state(): DhcpState {
    const { place, foreign, received, answered, malformed, shed, unprobed } = this;
    return {
      interface: place.name,
      mode: place.mode,
      problem: null,
      code: null,
      advice: null,
      details: {},
      addresses: addressesText(place.addresses).split(', '),
      foreign: [...foreign].map(([address, at]) => ({ address, at })),
      received,
      answered,
      malformed,
      shed,
      unprobed,
    };
  }

  private tell(kind: News['kind'], text: string, mac: string | null = null): void {
    this.options.news({ interface: this.place.name, kind, text, mac });
  }

  /** One packet. Whatever goes wrong with it, the next one is served. */
  private receive(received: Received): void {
    this.received++;
    try {
      const result = parse(received.bytes);
      if (result.kind === 'malformed') {
        this.malformed++;
        this.tell('malformed', `${formatAddress(received.from.address)} sent no DHCP: ${result.problem}`);
        return;
      }
      if (this.ownSearches.includes(result.packet.xid)) return;
      if (this.sheds(result.packet)) return;
      this.serve(result.packet, received, 0);
    } catch (error) {
      this.tell('trouble', error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
  }

  /**
   * Under more load than can be served, machines that are new here wait for their second try, so that those that hold
   * an offer or a lease are answered in time. In one turn of the loop so many datagrams are read at most; nothing but full
   * turns for some time means that more wait than were read.
   */
  private sheds(packet: Packet): boolean {
    if (!this.overloaded) return false;
    if (byteIn(packet.options, Option.messageType) !== MessageType.discover) return false;
    const hardware = hardwareKeyOf(packet);
    if (this.options.store.book.ofClient(hardware) !== null) return false;
    if (!this.leftOut.add(hardware)) return false;
    this.shed++;
    return true;
  }

  private turned(full: boolean): void {
    if (full) {
      this.fullSince ??= performance.now();
      this.overloaded = performance.now() - this.fullSince > longestBurst;
    } else {
      this.fullSince = null;
      this.overloaded = false;
    }
  }

  private situation(packet: Packet, received: Received): Situation {
    const { store, boot, clock } = this.options;
    const now = clock();
    const { to, port, from } = received;
    const unicast = to === undefined ? null : to !== null;
    const recall = () => store.memory.view(macOf(packet), textIn(packet.options, Option.vendorClass), now);
    return { now, place: this.place, port, from, unicast, leases: store.book, boot: boot(), recall };
  }

  private serve(packet: Packet, received: Received, tries: number): void {
    const situation = this.situation(packet, received);
    const decision = decide(packet, situation);
    if (decision.foreign !== null) this.sawForeign(formatAddress(decision.foreign));
    if (decision.alarm) this.tell(decision.alarm.kind, decision.alarm.text, decision.client.mac);
    const { reply, probe } = decision;
    const isNew = probe !== null;
    if (isNew && this.options.store.backlog > mostWaiting) return;
    const send = () => {
      this.witness(packet, decision, situation, received);
      if (reply) this.send(reply, received.port, decision.client);
    };
    if (reply === null || probe === null) this.apply(decision, send);
    else {
      this.apply(decision, () => {});
      this.afterProbe(probe, decision, situation.now, (mac) => {
        if (mac === unasked) this.sendUnprobed(reply, probe, packet, decision, situation, received);
        else if (mac === null) send();
        else this.conflict(probe, mac, packet, received, tries);
      });
    }
  }

  /** Writes the changes down; `then` is called when those that must be durable are. */
  private apply(decision: Decision, then: () => void): void {
    const { store, clock } = this.options;
    let isWaiting = false;
    for (const change of decision.changes) {
      switch (change.kind) {
        case 'lease':
          isWaiting = true;
          store.put(change.lease, (error) => {
            if (error === null) then();
          });
          break;
        case 'withdraw':
          store.book.withdraw(change.address);
          break;
        case 'attempt':
          store.memory.attempted(change.mac, change.attempt, decision.client.vendorClass);
          break;
        case 'chained':
          store.memory.chained(change.mac, clock());
          break;
      }
    }
    if (!isWaiting) then();
  }

  /**
   * Calls `then` with who uses `address`, or null for nobody: at once when it is known or cannot be asked. `unasked`
   * when too many machines are here.
   */
  private afterProbe(
    address: Ipv4,
    decision: Decision,
    now: number,
    then: (mac: string | typeof unasked | null) => void,
  ): void {
    const isNear = this.place.addresses.some(({ block }) => holds(block, address));
    const before = this.options.store.book.at(address);
    // The client itself may answer, and so may an old entry of whoever had the address before.
    const friends = [decision.client.mac, before?.mac ?? null];
    const judge = (mac: string | null) => then(mac !== null && friends.includes(mac) ? null : mac);
    const known = this.conflicts.known(address);
    this.restock();
    if (known !== undefined) judge(known);
    else if (!isNear) then(null);
    else if (this.isStorm(now) || this.conflicts.busy) then(unasked);
    else this.conflicts.ask(address).then(judge, () => then(null));
  }

  /** Whether more machines than can be asked for came in this second or the one before. */
  private isStorm(now: number): boolean {
    const { since, count } = this.demand;
    const elapsed = now - since;
    if (elapsed < 0 || elapsed >= 1000)
      this.demand = { since: now, count: 0, before: elapsed >= 0 && elapsed < 2000 ? count : 0 };
    this.demand.count++;
    return this.demand.count > mostAsking || this.demand.before > mostAsking;
  }

  private sendUnprobed(
    reply: Reply,
    address: Ipv4,
    packet: Packet,
    decision: Decision,
    situation: Situation,
    received: Received,
  ): void {
    this.unprobed++;
    const where = this.place.name;
    this.tell('unprobed', `more machines came on ${where} at once than addresses can be asked about`);
    const text = `${formatAddress(address)} is offered without asking who uses it: too many machines came at once`;
    const reasons = [{ rule: 'unprobed', text }, ...decision.reasons];
    this.witness(packet, { ...decision, reasons }, situation, received);
    this.send(reply, received.port, decision.client);
  }

  private conflict(address: Ipv4, mac: string, packet: Packet, received: Received, tries: number): void {
    const { store, clock } = this.options;
    const now = clock();
    this.tell('conflict', conflictText(address, mac), mac);
    const lease: Lease = {
      address,
      state: 'declined',
      key: '',
      mac,
      uuid: null,
      hostName: null,
      vendorClass: null,
      interface: this.place.name,
      since: now,
      expires: now + quarantine,
    };
    store.put(lease, () => {});
    if (tries < mostConflicts) this.serve(packet, received, tries + 1);
  }

  private restock(): void {
    const elapsed = performance.now() - this.restocked;
    if (this.stocking || this.place.mode !== 'full' || elapsed < restockEvery) return;
    this.restocked = performance.now();
    const { store } = this.options;
    const near = this.place.subnets.find(({ block }) => this.own.some((address) => holds(block, address)));
    if (!near) return;
    const next = store.book.upcoming(near, this.own, stock);
    const unknown = next.filter((address) => this.conflicts.known(address) === undefined);
    if (unknown.length < stock / 8 && unknown.length < next.length) return;
    if (unknown.length === 0 || this.conflicts.busy) return;
    this.stocking = true;
    const done = () => {
      this.stocking = false;
    };
    this.conflicts.ahead(unknown).then(done, done);
  }

  private send(reply: Reply, port: number, { mac, kind }: Client): void {
    this.answered++;
    const { bytes, dropped } = encode(reply.packet, reply);
    if (dropped.length > 0) {
      const text = `options ${dropped.join(', ')} found no room in ${reply.maximum} bytes`;
      this.tell('trouble', text);
    }
    this.link?.send(port, reply.from, bytes, reply.to);
    const { witness, clock } = this.options;
    witness.datagram({
      at: clock(),
      plain: kind === 'plain',
      mac,
      address: reply.packet.yiaddr === 0 ? null : formatAddress(reply.packet.yiaddr),
      from: { address: formatAddress(reply.from), port },
      to: { address: formatAddress(reply.to.address), port: reply.to.port },
      payload: bytes,
    });
  }

  private witness(packet: Packet, decision: Decision, situation: Situation, received: Received): void {
    const { witness } = this.options;
    const { mac, kind } = decision.client;
    const address = packet.ciaddr === 0 ? null : formatAddress(packet.ciaddr);
    witness.datagram({
      at: situation.now,
      plain: kind === 'plain',
      mac,
      address,
      from: { address: formatAddress(received.from.address), port: received.from.port },
      to: { address: received.to ? formatAddress(received.to) : '255.255.255.255', port: received.port },
      payload: received.bytes,
    });
    const news = stepsOf(packet, decision, situation, this.lastForeign);
    const given = decision.reply?.packet.yiaddr ?? 0;
    const uses = given === 0 ? address : formatAddress(given);
    for (const step of news) witness.step({ at: situation.now, mac, address: uses, ...step });
  }
}
