/** Packets, places and situations for tests of decisions. */
import { blockOf, formatAddress, parseAddress } from './address.ts';
import { Book } from './book.ts';
import { questionPacket } from './explain.ts';
import { Memory } from './memory.ts';
import { decide } from './offer.ts';
import { addressBytes, MessageType, Option } from './option.ts';
import { encode, type Packet, parse } from './packet.ts';
import type { BootPolicy, Decision, Mode, Place, Situation } from './situation.ts';
import { placeOf } from './subnet.ts';

export const ip = (text: string): number => {
  const address = parseAddress(text);
  if (address === null) throw new Error(`${text} is no address`);
  return address;
};
export const server = ip('10.77.0.1');
export const mac = '52:54:00:77:00:01';
export const start = Date.UTC(2026, 10, 23);

/** A network 10.77.0.0/24 that is served, with addresses .50 to .60. */
export function place(mode: Mode, more: Partial<Place> = {}): Place {
  const checked = placeOf(
    {
      interface: 'lab0',
      mode,
      subnets: [
        {
          network: '10.77.0.0/24',
          pools: [{ first: '10.77.0.50', last: '10.77.0.60' }],
          router: '10.77.0.254',
          dns: ['10.77.0.253'],
          domain: 'lab.example',
          ntp: ['10.77.0.252'],
          routes: [{ network: '192.168.0.0/16', gateway: '10.77.0.251' }],
          leaseSeconds: 900,
        },
        { network: '10.88.0.0/24', pools: [{ first: '10.88.0.50', last: '10.88.0.60' }] },
      ],
    },
    [{ address: server, block: blockOf(server, 24) }],
  );
  if (checked.kind === 'invalid') throw new Error(checked.problem);
  return { ...checked.value, ...more };
}

export const policy: BootPolicy = {
  httpPort: 8080,
  scriptPath: '/pxe-bootstrap.ipxe',
  filePath: '/boot/',
  has: () => true,
  overrideFor: () => null,
};

/** A server without sockets: decisions are written down, the clock is turned by hand. */
export class World {
  readonly book = new Book();
  readonly memory = new Memory();
  now = start;
  place: Place;
  boot: BootPolicy = policy;

  constructor(served: Place) {
    this.place = served;
  }

  ask(packet: Packet, more: Partial<Situation> = {}): Decision {
    const read = parse(encode(packet, { maximum: 1472, overload: false }).bytes);
    if (read.kind === 'malformed') throw new Error(read.problem);
    const decision = decide(read.packet, {
      now: this.now,
      place: this.place,
      port: 67,
      from: { address: 0, port: 68 },
      unicast: false,
      leases: this.book,
      boot: this.boot,
      recall: () => this.memory.view(macOf(packet), classOf(packet), this.now),
      ...more,
    });
    for (const change of decision.changes) {
      if (change.kind === 'lease') this.book.put(change.lease);
      else if (change.kind === 'withdraw') this.book.withdraw(change.address);
      else if (change.kind === 'attempt')
        this.memory.attempted(change.mac, change.attempt, decision.client.vendorClass);
      else this.memory.chained(change.mac, this.now);
    }
    return decision;
  }

  /** DISCOVER and REQUEST: the address that was leased. */
  lease(client: string): string {
    const offer = this.ask(message('discover', { mac: client }));
    const wanted = offer.reply?.packet.yiaddr ?? 0;
    const ack = this.ask(message('request', { mac: client, wanted, chosen: server }));
    return formatAddress(ack.reply?.packet.yiaddr ?? 0);
  }
}

const macOf = (packet: Packet) =>
  Buffer.from(packet.chaddr.subarray(0, 6))
    .toString('hex')
    .replace(/..(?=.)/g, '$&:');
const classOf = (packet: Packet) => {
  const value = packet.options.get(Option.vendorClass);
  return value ? Buffer.from(value).toString('latin1') : null;
};

export interface Wanted {
  readonly mac?: string;
  readonly arch?: number;
  readonly userClass?: string;
  readonly features?: readonly ('http' | 'bzimage' | 'efi')[];
  readonly ciaddr?: number;
  readonly giaddr?: number;
  readonly secs?: number;
  readonly xid?: number;
  /** Options 50 and 54. */
  readonly wanted?: number;
  readonly chosen?: number;
  readonly options?: readonly (readonly [number, Uint8Array])[];
}

/** A packet of a client. */
export function message(type: keyof typeof MessageType, wanted: Wanted = {}): Packet {
  const { arch, userClass, features } = wanted;
  const plain = questionPacket({
    mac: wanted.mac ?? mac,
    ...(arch === undefined ? {} : { arch }),
    ...(userClass === undefined ? {} : { userClass }),
    ...(features === undefined ? {} : { features: [...features] }),
  });
  const options = new Map(plain.options);
  options.set(Option.messageType, Uint8Array.of(MessageType[type]));
  if (wanted.wanted !== undefined) options.set(Option.requestedAddress, addressBytes(wanted.wanted));
  if (wanted.chosen !== undefined) options.set(Option.serverIdentifier, addressBytes(wanted.chosen));
  for (const [code, value] of wanted.options ?? []) options.set(code, value);
  const { ciaddr = 0, giaddr = 0, secs = 0, xid = 1 } = wanted;
  return { ...plain, options, ciaddr, giaddr, secs, xid };
}
