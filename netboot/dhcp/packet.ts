/** Bytes of a DHCP packet and their value (RFC 2131 section 2, RFC 2132, RFC 3396), without sockets or clocks. */
import type { Ipv4 } from './address.ts';

/** Value of one packet. Addresses are 0 when the field is empty. */
export interface Packet {
  /** 1 from clients and relays, 2 from servers. */
  readonly op: number;
  readonly htype: number;
  /** How many bytes of `chaddr` count. */
  readonly hlen: number;
  readonly hops: number;
  readonly xid: number;
  /** Seconds since the client began, as it says. */
  readonly secs: number;
  readonly flags: number;
  readonly ciaddr: Ipv4;
  readonly yiaddr: Ipv4;
  readonly siaddr: Ipv4;
  readonly giaddr: Ipv4;
  /** All 16 bytes, since a reply copies all of them. */
  readonly chaddr: Uint8Array;
  /** One character per byte, up to the first NUL; empty when the field holds options. */
  readonly sname: string;
  readonly file: string;
  /** Joined values by code (RFC 3396), without pad (0), overload (52) and end (255). */
  readonly options: ReadonlyMap<number, Uint8Array>;
}

export type Parsed =
  | { readonly kind: 'packet'; readonly packet: Packet }
  | { readonly kind: 'malformed'; readonly problem: string };

export const broadcastFlag = 0x8000;
const fixedLength = 240;
const snameAt = 44;
const fileAt = 108;
const optionsAt = 240;
const cookie = 0x63825363;
/** BOOTP's minimum; some boot ROMs drop what is shorter. */
const leastLength = 300;
/** No network carries longer frames, and the bound keeps the work per packet small. */
export const mostLength = 9216;
const pad = 0;
const overload = 52;
const bootFileName = 67;
const relayInformation = 82;
const end = 255;

const malformed = (problem: string): Parsed => ({ kind: 'malformed', problem });

function textOf(bytes: Uint8Array, from: number, length: number): string {
  let stop = from;
  while (stop < from + length && bytes[stop] !== 0) stop++;
  return stop === from
    ? ''
    : Buffer.from(bytes.buffer, bytes.byteOffset + from, stop - from).toString('latin1');
}

/** Options while they are gathered: repeats wait as pieces so that joining them stays linear. */
class Gathering {
  readonly options = new Map<number, Uint8Array>();
  private pieces: Map<number, Uint8Array[]> | null = null;

  /** Reads `length` bytes at `from`. Returns what is wrong, or null. */
  read(bytes: Uint8Array, from: number, length: number): string | null {
    const stop = from + length;
    for (let at = from; at < stop; ) {
      const code = bytes[at++] ?? end;
      if (code === pad) continue;
      if (code === end) break;
      const size = at < stop ? (bytes[at++] ?? 0) : -1;
      if (size < 0) return `option ${code} has no length`;
      if (at + size > stop) return `option ${code} of ${size} bytes passes the end of its field`;
      this.add(code, bytes.subarray(at, at + size));
      at += size;
    }
    return null;
  }

  private add(code: number, value: Uint8Array): void {
    const before = this.options.get(code);
    if (before === undefined) {
      this.options.set(code, value);
      return;
    }
    this.pieces ??= new Map();
    const pieces = this.pieces.get(code);
    if (pieces) pieces.push(value);
    else this.pieces.set(code, [before, value]);
  }

  finish(): Map<number, Uint8Array> {
    for (const [code, pieces] of this.pieces ?? []) this.options.set(code, Buffer.concat(pieces));
    this.options.delete(overload);
    return this.options;
  }
}

/** Value of a datagram. Never throws, whatever the bytes; values are views of `bytes`. */
export function parse(bytes: Uint8Array): Parsed {
  if (bytes.length < fixedLength) return malformed(`${bytes.length} bytes are too few`);
  if (bytes.length > mostLength) return malformed(`${bytes.length} bytes are too many`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const op = view.getUint8(0);
  if (op !== 1 && op !== 2) return malformed(`operation ${op} is neither a request nor a reply`);
  const hlen = view.getUint8(2);
  if (hlen > 16) return malformed(`hardware addresses have no ${hlen} bytes`);
  if (view.getUint32(236) !== cookie) return malformed('the DHCP cookie is missing');
  const gathering = new Gathering();
  let problem = gathering.read(bytes, optionsAt, bytes.length - optionsAt);
  if (problem !== null) return malformed(problem);
  const overloaded = gathering.options.get(overload)?.[0] ?? 0;
  // RFC 3396 section 5: the order is options, file, sname. Option 52 inside file or sname means nothing.
  const inFile = overloaded === 1 || overloaded === 3;
  const inSname = overloaded === 2 || overloaded === 3;
  if (inFile) problem = gathering.read(bytes, fileAt, 128);
  if (problem === null && inSname) problem = gathering.read(bytes, snameAt, 64);
  if (problem !== null) return malformed(problem);
  const packet: Packet = {
    op,
    htype: view.getUint8(1),
    hlen,
    hops: view.getUint8(3),
    xid: view.getUint32(4),
    secs: view.getUint16(8),
    flags: view.getUint16(10),
    ciaddr: view.getUint32(12),
    yiaddr: view.getUint32(16),
    siaddr: view.getUint32(20),
    giaddr: view.getUint32(24),
    chaddr: bytes.subarray(28, 44),
    sname: inSname ? '' : textOf(bytes, snameAt, 64),
    file: inFile ? '' : textOf(bytes, fileAt, 128),
    options: gathering.finish(),
  };
  return { kind: 'packet', packet };
}

export interface Limits {
  /** Most bytes of the datagram's payload. */
  readonly maximum: number;
  /** Whether options may go into `file` and `sname` (option 52). Never so for boot ROMs, which do not look there. */
  readonly overload: boolean;
}
export interface Encoded {
  readonly bytes: Uint8Array;
  /** Codes of options that found no room, in the order they were left out. */
  readonly dropped: readonly number[];
}

/** Bytes that an option takes: values over 255 bytes are split (RFC 3396). */
function sizeOf(value: Uint8Array): number {
  return value.length + 2 * Math.max(1, Math.ceil(value.length / 255));
}

/**
 * Order on the wire. Option 82 comes last (RFC 3046 section 2.2). Option 67 comes last before it: EDK2 writes a
 * NUL just past a boot file name that has none, over the code of whatever follows.
 */
function ordered(options: ReadonlyMap<number, Uint8Array>): [number, Uint8Array][] {
  const all: [number, Uint8Array][] = [];
  for (const entry of options) if (!isKept(entry[0])) all.push(entry);
  for (const code of [bootFileName, relayInformation]) {
    const value = options.get(code);
    if (value !== undefined) all.push([code, value]);
  }
  return all;
}

/** Whether an option keeps its place when room is short. */
const isKept = (code: number) => code === bootFileName || code === relayInformation;

/** One field that takes options; the last byte is kept for the end mark. */
class Field {
  private readonly bytes: Buffer;
  private readonly stop: number;
  private readonly start: number;
  at: number;

  constructor(bytes: Buffer, from: number, length: number) {
    this.bytes = bytes;
    this.start = from;
    this.at = from;
    this.stop = from + length - 1;
  }

  get used(): boolean {
    return this.at > this.start;
  }

  fits(size: number, reserved = 0): boolean {
    return this.at + size + reserved <= this.stop;
  }

  put(code: number, value: Uint8Array): void {
    if (value.length < 32) {
      this.putShort(code, value);
      return;
    }
    for (let done = 0; ; done += 255) {
      const piece = value.subarray(done, done + 255);
      this.bytes[this.at++] = code;
      this.bytes[this.at++] = piece.length;
      this.bytes.set(piece, this.at);
      this.at += piece.length;
      if (done + 255 >= value.length) return;
    }
  }

  /** Byte by byte, which for a few of them is faster than a view and a copy. */
  private putShort(code: number, value: Uint8Array): void {
    const { bytes } = this;
    let { at } = this;
    bytes[at++] = code;
    bytes[at++] = value.length;
    for (let from = 0; from < value.length; from++) bytes[at++] = value[from] ?? 0;
    this.at = at;
  }

  close(): void {
    this.bytes[this.at++] = end;
  }
}

/**
 * Bytes of `packet`, at least 300 and at most `limits.maximum` of them (but never fewer than the fixed part). Options
 * that come late in the map are the first to be left out when room is short; 67 and 82 keep theirs.
 */
export function encode(packet: Packet, limits: Limits): Encoded {
  const most = Math.max(leastLength, Math.min(limits.maximum, mostLength));
  const options = ordered(packet.options);
  let needed = 0;
  for (const [, value] of options) needed += sizeOf(value);
  const room = Math.max(leastLength, Math.min(most, optionsAt + needed + 1));
  // From the pool of buffers: one packet is a fraction of a page, and memory of its own is dear.
  const bytes = Buffer.allocUnsafe(room).fill(0);
  bytes[0] = packet.op;
  bytes[1] = packet.htype;
  bytes[2] = packet.hlen;
  bytes[3] = packet.hops;
  putLong(bytes, 4, packet.xid);
  bytes[8] = packet.secs >>> 8;
  bytes[9] = packet.secs;
  bytes[10] = packet.flags >>> 8;
  bytes[11] = packet.flags;
  putLong(bytes, 12, packet.ciaddr);
  putLong(bytes, 16, packet.yiaddr);
  putLong(bytes, 20, packet.siaddr);
  putLong(bytes, 24, packet.giaddr);
  for (let at = 0; at < 16; at++) bytes[28 + at] = packet.chaddr[at] ?? 0;
  if (packet.sname !== '') bytes.write(packet.sname, snameAt, 64, 'latin1');
  if (packet.file !== '') bytes.write(packet.file, fileAt, 128, 'latin1');
  putLong(bytes, 236, cookie);
  const main = new Field(bytes, optionsAt, room - optionsAt);
  const dropped = fill(bytes, main, packet, options, limits.overload);
  return { bytes: bytes.subarray(0, Math.max(leastLength, main.at)), dropped };
}

function putLong(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function fill(
  bytes: Buffer,
  main: Field,
  packet: Packet,
  options: readonly (readonly [number, Uint8Array])[],
  mayOverload: boolean,
): number[] {
  const needed = options.reduce((sum, [, value]) => sum + sizeOf(value), 0);
  const dropped: number[] = [];
  if (main.fits(needed)) {
    for (const [code, value] of options) main.put(code, value);
    main.close();
    return dropped;
  }
  const file = mayOverload && packet.file === '' ? new Field(bytes, fileAt, 128) : null;
  const sname = mayOverload && packet.sname === '' ? new Field(bytes, snameAt, 64) : null;
  // Option 52 comes first so that 82 stays last; its value is known once everything else has its place.
  const mark = file || sname ? main.at : null;
  if (mark !== null) main.put(overload, Uint8Array.of(0));
  let reserved = 0;
  for (const [code, value] of options) if (isKept(code)) reserved += sizeOf(value);
  for (const [code, value] of options) {
    const size = sizeOf(value);
    if (isKept(code)) reserved -= size;
    if (main.fits(size, reserved)) main.put(code, value);
    else if (file?.fits(size)) file.put(code, value);
    else if (sname?.fits(size)) sname.put(code, value);
    else dropped.push(code);
  }
  const marks = (file?.used ? 1 : 0) + (sname?.used ? 2 : 0);
  if (mark !== null && marks > 0) bytes[mark + 2] = marks;
  else if (mark !== null) bytes.fill(pad, mark, mark + 3);
  if (file?.used) file.close();
  if (sname?.used) sname.close();
  main.close();
  return dropped;
}
