/** DHCP options by number (RFC 2132 and the documents named), and the values inside them. */
import { formatAddress, formatHardware, hexOf, type Ipv4 } from './address.ts';

export { hexOf };

export const Option = {
  subnetMask: 1,
  router: 3,
  domainNameServer: 6,
  hostName: 12,
  domainName: 15,
  broadcastAddress: 28,
  ntpServers: 42,
  vendorSpecific: 43,
  requestedAddress: 50,
  leaseTime: 51,
  messageType: 53,
  serverIdentifier: 54,
  parameterList: 55,
  message: 56,
  maximumSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  clientIdentifier: 61,
  tftpServerName: 66,
  bootFileName: 67,
  userClass: 77,
  relayInformation: 82,
  /** RFC 4578 */
  architecture: 93,
  networkInterface: 94,
  machineIdentifier: 97,
  /** RFC 3011 */
  subnetSelection: 118,
  /** RFC 3442 */
  classlessRoutes: 121,
  ipxe: 175,
} as const;

/** Option 53. */
export const MessageType = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

/** Suboptions of option 82 (RFC 3046, 3527, 5107). */
export const RelaySuboption = { circuit: 1, remote: 2, linkSelection: 5, serverIdentifier: 11 } as const;
/** Suboptions of option 43 in PXE (PXE 2.1). */
export const PxeSuboption = { discoveryControl: 6, bootItem: 71 } as const;
/** Suboptions of option 175 that matter to a server. */
export const IpxeSuboption = { http: 0x13, bzImage: 0x18, efi: 0x24, noProxy: 0xb0, version: 0xeb } as const;

type Options = ReadonlyMap<number, Uint8Array>;

const buffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** The one address in option `code`, or null when it is absent or not four bytes. */
export function addressIn(options: Options, code: number): Ipv4 | null {
  const value = options.get(code);
  return value?.length === 4 ? numberIn(value) : null;
}

/** Of four bytes. A `Buffer` around each value would cost more than all of reading it. */
function numberIn(value: Uint8Array): number {
  return (value[0] ?? 0) * 0x1000000 + (((value[1] ?? 0) << 16) | ((value[2] ?? 0) << 8) | (value[3] ?? 0));
}

export function byteIn(options: Options, code: number): number | null {
  const value = options.get(code);
  return value?.length === 1 ? (value[0] ?? null) : null;
}

export function shortIn(options: Options, code: number): number | null {
  const value = options.get(code);
  return value?.length === 2 ? ((value[0] ?? 0) << 8) | (value[1] ?? 0) : null;
}

export function longIn(options: Options, code: number): number | null {
  const value = options.get(code);
  return value?.length === 4 ? numberIn(value) : null;
}

/** Text of option `code` up to a NUL, one character per byte, control characters shown as "?". */
export function textIn(options: Options, code: number): string | null {
  const value = options.get(code);
  return value === undefined ? null : printable(value);
}

export function printable(value: Uint8Array): string {
  const stop = value.indexOf(0);
  const text = buffer(stop < 0 ? value : value.subarray(0, stop)).toString('latin1');
  return text.replace(/[^\x20-\x7e]/g, '?');
}

const nothing: ReadonlyMap<number, Uint8Array> = new Map();

/** Suboptions of 43, 82 or 175. What passes the end is left out; so is what follows an end mark in option 43. */
export function suboptions(value: Uint8Array | undefined, code: number): ReadonlyMap<number, Uint8Array> {
  if (value === undefined) return nothing;
  const found = new Map<number, Uint8Array>();
  const marked = code === Option.vendorSpecific;
  for (let at = 0; at < value.length; ) {
    const sub = value[at++] ?? 0;
    if (marked && sub === 255) break;
    if (marked && sub === 0) continue;
    const size = value[at++];
    if (size === undefined || at + size > value.length) break;
    if (!found.has(sub)) found.set(sub, value.subarray(at, at + size));
    at += size;
  }
  return found;
}

/** Numbers of option 93: usually one. A list is cut at 16, an odd byte at its end is ignored. */
export function architecturesIn(options: Options): readonly number[] {
  const value = options.get(Option.architecture);
  if (value === undefined) return [];
  const list: number[] = [];
  for (let at = 0; at + 1 < value.length && list.length < 16; at += 2)
    list.push(((value[at] ?? 0) << 8) | (value[at + 1] ?? 0));
  return list;
}

/** Items of option 77: RFC 3004 puts a length before each, iPXE sends bare text. Both are read. */
export function userClassesIn(options: Options): readonly string[] {
  const value = options.get(Option.userClass);
  if (value === undefined || value.length === 0) return [];
  const items: string[] = [];
  for (let at = 0; at < value.length; ) {
    const size = value[at] ?? 0;
    if (size === 0 || at + 1 + size > value.length) return [printable(value)];
    items.push(printable(value.subarray(at + 1, at + 1 + size)));
    at += 1 + size;
  }
  return items;
}

const unknownMachines = new Set([
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '03000200-0400-0500-0006-000700080009',
  '00020003-0004-0005-0006-000700080009',
]);

/**
 * UUID of option 97 as firmware shows it, lower case, or null when it is absent or one that boards share. The bytes
 * are SMBIOS order: the first three groups are little-endian.
 */
export function machineIn(options: Options): string | null {
  const value = options.get(Option.machineIdentifier);
  if (value?.length !== 17 || value[0] !== 0) return null;
  const text = uuidText(value, smbiosOrder);
  return unknownMachines.has(text) || unknownMachines.has(uuidText(value, wireOrder)) ? null : text;
}

const wireOrder = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] as const;
const smbiosOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15] as const;

/** `value` holds a type before the 16 bytes. */
function uuidText(value: Uint8Array, order: readonly number[]): string {
  const bytes = new Uint8Array(16);
  for (const [at, from] of order.entries()) bytes[at] = value[from + 1] ?? 0;
  const text = hexOf(bytes);
  const parts = [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20)];
  return `${parts.join('-')}-${text.slice(20)}`;
}

export function addressBytes(...addresses: readonly Ipv4[]): Uint8Array {
  const bytes = new Uint8Array(addresses.length * 4);
  let at = 0;
  for (const address of addresses) {
    bytes[at++] = address >>> 24;
    bytes[at++] = address >>> 16;
    bytes[at++] = address >>> 8;
    bytes[at++] = address;
  }
  return bytes;
}

export function longBytes(value: number): Uint8Array {
  return addressBytes(value);
}

export function textBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

export interface Route {
  readonly network: Ipv4;
  readonly prefix: number;
  readonly gateway: Ipv4;
}

/** Option 121: each route is its prefix, as many octets of the network as count, and the gateway. */
export function routeBytes(routes: readonly Route[]): Uint8Array {
  return Buffer.concat(
    routes.map(({ network, prefix, gateway }) =>
      Buffer.concat([
        Uint8Array.of(prefix),
        addressBytes(network).subarray(0, Math.ceil(prefix / 8)),
        addressBytes(gateway),
      ]),
    ),
  );
}

/** Routes of option 121, or null when it is malformed. */
export function routesIn(options: Options): readonly Route[] | null {
  const value = options.get(Option.classlessRoutes);
  if (value === undefined) return null;
  const routes: Route[] = [];
  for (let at = 0; at < value.length; ) {
    const prefix = value[at++] ?? 33;
    const octets = Math.ceil(prefix / 8);
    if (prefix > 32 || at + octets + 4 > value.length) return null;
    const network = Buffer.alloc(4);
    network.set(value.subarray(at, at + octets));
    const gateway = buffer(value).readUInt32BE(at + octets);
    routes.push({ network: network.readUInt32BE(0), prefix, gateway });
    at += octets + 4;
  }
  return routes;
}

/** Client identifier (option 61) as a person reads it. */
export function clientIdText(value: Uint8Array): string {
  return value.length === 7 && value[0] === 1 ? formatHardware(value.subarray(1)) : hexOf(value);
}

export function addressesText(value: Uint8Array): string | null {
  if (value.length === 0 || value.length % 4 !== 0) return null;
  const parts: string[] = [];
  for (let at = 0; at < value.length; at += 4) parts.push(formatAddress(buffer(value).readUInt32BE(at)));
  return parts.join(', ');
}
