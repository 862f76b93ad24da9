/** Firmware and iPXE over real sockets: addresses, offers, boot server and boot file, until a script is named. */
import { setTimeout as pause } from 'node:timers/promises';
import { formatAddress } from '../../dhcp/address.ts';
import {
  addressIn,
  byteIn,
  MessageType,
  Option,
  PxeSuboption,
  suboptions,
  textIn,
} from '../../dhcp/option.ts';
import { encode, type Packet, parse } from '../../dhcp/packet.ts';
import { bound, fetchTftp } from '../tftp-peer.ts';
import { lengthOf, load } from './http.ts';
import type { Model } from './model.ts';
import type { Wire } from './wire.ts';

/** Milliseconds that each stage took. */
export type Timed = <Value>(stage: string, work: () => Promise<Value>) => Promise<Value>;

/** What a machine was told to load, and who it is. */
export interface Told {
  readonly address: string;
  readonly server: string;
  readonly file: string;
}

/** Option 175 of an iPXE that can do all that scripts need. */
const features = Uint8Array.from([0x13, 1, 1, 0x18, 1, 1, 0x24, 1, 1, 0xeb, 3, 1, 21, 1]);
/** Milliseconds after each DISCOVER and after each question on port 4011 (PXE 2.1). */
const discoverWaits = [4000, 8000, 16_000, 32_000];
const bootServerWaits = [1000, 2000, 3000, 4000];
const discoveryControl = 8;

const fileOf = (packet: Packet) => packet.file || textIn(packet.options, Option.bootFileName) || '';
const isForBoot = (packet: Packet) =>
  /^(PXE|HTTP)Client/.test(textIn(packet.options, Option.vendorClass) ?? '');

const isOneOf = (value: number | null, ...some: readonly number[]) => value !== null && some.includes(value);

function bytesOf(address: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(address);
  return bytes;
}

/** A proxy's offer says by this that its file is to be fetched at once. */
function isDirect({ options }: Packet): boolean {
  const control = suboptions(options.get(Option.vendorSpecific), Option.vendorSpecific);
  return ((control.get(PxeSuboption.discoveryControl)?.[0] ?? 0) & discoveryControl) !== 0;
}

interface Chosen {
  /** Offer of the address. */
  readonly lease: Packet;
  /** Offer of a proxy; null when the first one holds all. */
  readonly proxy: Packet | null;
}

/** What firmware of a model makes of the offers so far; null when it waits for more. */
export function choose(model: Model, offers: readonly Packet[]): Chosen | null {
  const whole = offers.find((offer) => offer.yiaddr !== 0 && isForBoot(offer) && fileOf(offer) !== '');
  if (whole) return { lease: whole, proxy: null };
  if (model.mergesNot) return null;
  const lease = offers.find(({ yiaddr }) => yiaddr !== 0);
  const proxy = offers.find(
    (offer) =>
      offer.yiaddr === 0 && isForBoot(offer) && !(model.drops43 && offer.options.has(Option.vendorSpecific)),
  );
  return lease && proxy ? { lease, proxy } : null;
}

export class Firmware {
  readonly #wire: Wire;
  readonly #model: Model;
  readonly #mac: string;
  readonly #timed: Timed;
  #datagrams: number;

  constructor(wire: Wire, model: Model, mac: string, index: number, timed: Timed) {
    this.#wire = wire;
    this.#model = model;
    this.#mac = mac;
    this.#timed = timed;
    this.#datagrams = index;
  }

  /** Until iPXE was told its script. */
  async start(): Promise<Told> {
    const told = await this.#address(this.#model.ipxe === true, '');
    if (this.#model.ipxe) return told;
    await this.#timed('boot file', () => this.#load(told));
    return this.#address(true, 'iPXE ');
  }

  /** Loses the share of the datagrams that the model says, never two in succession. */
  #loses(): boolean {
    const { loss = 0 } = this.#model;
    this.#datagrams += 1;
    return loss > 0 && this.#datagrams % Math.round(1 / loss) === 0;
  }

  async #load({ address, server, file }: Told): Promise<void> {
    if (/^http:/.test(file)) {
      const size = await lengthOf(file, { from: address });
      const { bytes } = await load(file, { from: address });
      if (bytes !== size) throw new Error(`${file}: HEAD says ${size} bytes, GET gives ${bytes}`);
      return;
    }
    const { options, probes, loss } = this.#model;
    const place = { address: server, port: 69 };
    const more = { from: address, ...(loss === undefined ? {} : { loss }) };
    if (probes) {
      const probe = await fetchTftp(place, { file, options: [['tsize', '0']], probe: true }, more);
      if (probe.state !== 'probed') throw new Error(`size of the boot file ${file}: ${probe.problem}`);
    }
    const client = await fetchTftp(place, { file, options }, more);
    if (client.state !== 'done') throw new Error(`boot file ${file}: ${client.problem}`);
  }

  /** DISCOVER, OFFER, REQUEST, ACK, and the boot server where an offer of a proxy leads there. */
  async #address(ipxe: boolean, label: string): Promise<Told> {
    const xid = Math.floor(Math.random() * 0xffffffff);
    const { lease, proxy } = await this.#timed(`${label}offer`, () => this.#discover(ipxe, xid));
    const server = addressIn(lease.options, Option.serverIdentifier) ?? 0;
    const ack = await this.#timed(`${label}ack`, () => this.#request(ipxe, xid, server, lease.yiaddr));
    const address = formatAddress(ack.yiaddr);
    const source = proxy ?? ack;
    const from = source.siaddr || (addressIn(source.options, Option.serverIdentifier) ?? 0);
    await this.#wire.claim(address, formatAddress(from));
    const asks = proxy !== null && !ipxe && !this.#isHttp && !isDirect(proxy);
    const last = asks ? await this.#timed('4011', () => this.#bootServer(ack.yiaddr, from)) : source;
    const file = fileOf(last);
    if (file === '') throw new Error('no boot file was named');
    return { address, server: formatAddress(last.siaddr || from), file };
  }

  get #isHttp(): boolean {
    return this.#model.vendorClass.startsWith('HTTP');
  }

  async #discover(ipxe: boolean, xid: number): Promise<Chosen> {
    let most = 0;
    for (const [tries, wait] of discoverWaits.slice(0, this.#model.tries ?? 4).entries()) {
      const packet = this.#packet(ipxe, { xid, kind: MessageType.discover, secs: tries * 4 });
      const offers = await this.#ask(packet, wait, (heard) => choose(this.#model, heard) !== null);
      const chosen = choose(this.#model, offers);
      if (chosen) return chosen;
      most = Math.max(most, offers.length);
    }
    throw new Error(most === 0 ? 'no offer came' : `of ${most} offers it took none`);
  }

  async #request(ipxe: boolean, xid: number, server: number, wanted: number): Promise<Packet> {
    const more: [number, Uint8Array][] = [
      [Option.serverIdentifier, bytesOf(server)],
      [Option.requestedAddress, bytesOf(wanted)],
    ];
    const isVerdict = ({ options }: Packet) =>
      addressIn(options, Option.serverIdentifier) === server &&
      isOneOf(byteIn(options, Option.messageType), MessageType.ack, MessageType.nak);
    for (const [tries, wait] of discoverWaits.entries()) {
      const packet = this.#packet(ipxe, { xid, kind: MessageType.request, secs: tries * 4, more });
      const verdict = (await this.#ask(packet, wait, (heard) => heard.some(isVerdict))).find(isVerdict);
      if (!verdict) continue;
      if (byteIn(verdict.options, Option.messageType) === MessageType.ack) return verdict;
      throw new Error('the address was refused');
    }
    throw new Error('the REQUEST was not answered');
  }

  /** Sends a broadcast; answers what came back and was not lost. */
  async #ask(
    packet: Packet,
    milliseconds: number,
    enough: (packets: readonly Packet[]) => boolean,
  ): Promise<readonly Packet[]> {
    const lost = new Set<Packet>();
    const seen = new Set<Packet>();
    const kept = (packets: readonly Packet[]) => {
      for (const one of packets) {
        if (!seen.has(one) && this.#loses()) lost.add(one);
        seen.add(one);
      }
      return packets.filter((one) => !lost.has(one));
    };
    const heard = this.#wire.answers(packet.xid, milliseconds, (packets) => enough(kept(packets)));
    this.#wire.send(encode(packet, { maximum: 1472, overload: false }).bytes);
    return kept(await heard);
  }

  /** UEFI asks from port 4011, in unicast. */
  async #bootServer(own: number, server: number): Promise<Packet> {
    const socket = await bound(formatAddress(own), 4011);
    try {
      const xid = Math.floor(Math.random() * 0xffffffff);
      let found: Packet | null = null;
      const answered = new AbortController();
      socket.on('message', (bytes, from) => {
        const read = parse(bytes);
        const fits = read.kind === 'packet' && read.packet.xid === xid && from.port === 4011;
        if (!fits || this.#loses()) return;
        found = read.packet;
        answered.abort();
      });
      for (const [tries, wait] of bootServerWaits.entries()) {
        const packet = this.#packet(false, { xid, kind: MessageType.request, secs: tries, own });
        const { bytes } = encode(packet, { maximum: 1472, overload: false });
        socket.send(bytes, 4011, formatAddress(server), () => undefined);
        await pause(wait, undefined, { signal: answered.signal }).catch(() => undefined);
        if (found) return found;
      }
      throw new Error('port 4011 did not answer');
    } finally {
      socket.close();
    }
  }

  #packet(
    ipxe: boolean,
    fields: {
      readonly xid: number;
      readonly kind: number;
      readonly secs: number;
      readonly own?: number;
      readonly more?: readonly [number, Uint8Array][];
    },
  ): Packet {
    const { vendorClass, architecture } = this.#model;
    const { xid, kind, secs, own = 0, more = [] } = fields;
    const options = new Map<number, Uint8Array>([
      [Option.messageType, Uint8Array.of(kind)],
      ...more,
      [Option.maximumSize, Uint8Array.of(5, 192)],
      [Option.parameterList, Uint8Array.of(1, 3, 6, 43, 54, 60, 66, 67, 97)],
      [Option.vendorClass, Buffer.from(vendorClass)],
      [Option.architecture, Uint8Array.of(architecture >> 8, architecture & 255)],
    ]);
    if (ipxe) options.set(Option.userClass, Buffer.from('iPXE')).set(Option.ipxe, features);
    const chaddr = new Uint8Array(16);
    chaddr.set(Buffer.from(this.#mac.replaceAll(':', ''), 'hex'));
    return {
      ...{ op: 1, htype: 1, hlen: 6, hops: 0, xid, secs, flags: own === 0 ? 0x8000 : 0, ciaddr: own },
      ...{ yiaddr: 0, siaddr: 0, giaddr: 0, chaddr, sname: '', file: '', options },
    };
  }
}
