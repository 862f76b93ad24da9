/** A capture file of datagrams (pcap 2.4), with Ethernet, IPv4 and UDP headers made up around the very payloads. */
import type { Endpoint } from './step.ts';

export interface Captured {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** What was kept of the payload, and its whole length. */
  readonly payload: Uint8Array;
  readonly length: number;
}

const ethernet = 1;
const snapLength = 65_535;
const headers = 14 + 20 + 8;
/** Longest payload that fits an IPv4 packet. */
const longest = 65_507;

/** Locally administered address of ours, for the side that no MAC is known of. */
const ours = Buffer.from([0x02, 0x62, 0x74, 0x79, 0x00, 0x01]);
const everyone = Buffer.alloc(6, 0xff);

function hardware(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

function addressBytes(address: string): Buffer {
  const bytes = Buffer.alloc(4);
  address.split('.').forEach((part, at) => {
    if (at < 4) bytes[at] = Number(part) & 255;
  });
  return bytes;
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function frame({ from, to, payload, length }: Captured, mac: string, fromMachine: boolean): Buffer {
  const out = Buffer.alloc(headers + payload.length);
  const machine = hardware(mac);
  const target = to.address === '255.255.255.255' ? everyone : fromMachine ? ours : machine;
  target.copy(out, 0);
  (fromMachine ? machine : ours).copy(out, 6);
  out.writeUInt16BE(0x0800, 12);
  out.writeUInt16BE(0x4500, 14);
  out.writeUInt16BE(Math.min(length + 28, 0xffff), 16);
  out.writeUInt16BE(0x4000, 20);
  out.writeUInt8(64, 22);
  out.writeUInt8(17, 23);
  addressBytes(from.address).copy(out, 26);
  addressBytes(to.address).copy(out, 30);
  out.writeUInt16BE(checksum(out.subarray(14, 34)), 24);
  out.writeUInt16BE(from.port, 34);
  out.writeUInt16BE(to.port, 36);
  // A checksum of 0 says that there is none (RFC 768).
  out.writeUInt16BE(Math.min(length + 8, 0xffff), 38);
  out.set(payload, headers);
  return out;
}

/** The file. `fromMachine` tells for each datagram whether the machine with `mac` sent it. */
export function pcapOf(
  mac: string,
  datagrams: readonly Captured[],
  fromMachine: (datagram: Captured) => boolean,
): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(snapLength, 16);
  head.writeUInt32LE(ethernet, 20);
  const parts: Buffer[] = [head];
  for (const datagram of datagrams) {
    if (datagram.length > longest) continue;
    const bytes = frame(datagram, mac, fromMachine(datagram));
    const record = Buffer.alloc(16);
    record.writeUInt32LE(Math.floor(datagram.at / 1000), 0);
    record.writeUInt32LE((Math.floor(datagram.at) % 1000) * 1000, 4);
    record.writeUInt32LE(bytes.length, 8);
    record.writeUInt32LE(headers + datagram.length, 12);
    parts.push(record, bytes);
  }
  return Buffer.concat(parts);
}
