/** Who sent a packet, as far as the packet tells. */
import { formatHardware } from './address.ts';
import { type Architecture, bestArchitecture } from './architecture.ts';
import {
  architecturesIn,
  hexOf,
  IpxeSuboption,
  machineIn,
  Option,
  suboptions,
  textIn,
  userClassesIn,
} from './option.ts';
import type { Packet } from './packet.ts';

/** How the client wants to boot. `plain` wants an address only. */
export type ClientKind = 'plain' | 'pxe' | 'http' | 'ipxe';

export interface Ipxe {
  /** The client carries the user class that our own scripts set. */
  readonly ours: boolean;
  /** Option 175 was there. */
  readonly told: boolean;
  /** Features that a script needs: HTTP, and a way to start a kernel on this firmware. */
  readonly capable: boolean;
}

export interface Client {
  readonly kind: ClientKind;
  /** "52:54:00:12:34:56"; null for hardware other than Ethernet. */
  readonly mac: string | null;
  /** Hardware type and address, which all stages of one boot share. */
  readonly hardwareKey: string;
  /** Option 61, which firmware, iPXE and the system may each choose differently; null when absent. */
  readonly identifierKey: string | null;
  readonly uuid: string | null;
  readonly vendorClass: string | null;
  readonly userClasses: readonly string[];
  readonly architecture: Architecture | null;
  readonly ipxe: Ipxe | null;
  readonly hostName: string | null;
}

/** User class that scripts of this appliance set before they ask again. */
export const ownUserClass = 'bty';
const ethernet = 1;

function ipxeOf(
  packet: Packet,
  userClasses: readonly string[],
  architecture: Architecture | null,
): Ipxe | null {
  const value = packet.options.get(Option.ipxe);
  const ours = userClasses.includes(ownUserClass);
  if (value === undefined && !ours && !userClasses.includes('iPXE')) return null;
  const features = suboptions(value, Option.ipxe);
  const has = (code: number) => features.get(code)?.[0] === 1;
  const starts = architecture?.firmware === 'bios' ? IpxeSuboption.bzImage : IpxeSuboption.efi;
  return {
    ours,
    told: value !== undefined,
    capable: has(IpxeSuboption.http) && (has(starts) || has(IpxeSuboption.bzImage)),
  };
}

function kindOf(vendorClass: string | null, ipxe: Ipxe | null): ClientKind {
  if (ipxe !== null) return 'ipxe';
  if (vendorClass?.startsWith('PXEClient')) return 'pxe';
  if (vendorClass?.startsWith('HTTPClient')) return 'http';
  return 'plain';
}

/** A host name as DNS allows it, else null: it is shown, logged and kept. */
function hostNameOf(packet: Packet): string | null {
  const text = textIn(packet.options, Option.hostName);
  return text !== null && /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(text) ? text : null;
}

/** Hardware type and address, for what is kept of a client. */
export function hardwareKeyOf({ htype, hlen, chaddr }: Packet): string {
  return `${htype}/${hexOf(chaddr, hlen)}`;
}

/** Its hardware address, where that is one of Ethernet. */
export function macOf({ htype, hlen, chaddr }: Packet): string | null {
  return htype === ethernet && hlen === 6 ? formatHardware(chaddr, 6) : null;
}

export function identify(packet: Packet): Client {
  const userClasses = userClassesIn(packet.options);
  const vendorClass = textIn(packet.options, Option.vendorClass);
  const codes = architecturesIn(packet.options);
  // Option 60 carries the code too, and some firmware sends only that.
  const told = vendorClass === null ? null : /^(?:PXE|HTTP)Client:Arch:(\d{5})/.exec(vendorClass)?.[1];
  const architecture = bestArchitecture(codes.length > 0 || !told ? codes : [Number(told)]);
  const ipxe = ipxeOf(packet, userClasses, architecture);
  const identifier = packet.options.get(Option.clientIdentifier);
  return {
    kind: kindOf(vendorClass, ipxe),
    mac: macOf(packet),
    hardwareKey: hardwareKeyOf(packet),
    identifierKey: identifier === undefined || identifier.length === 0 ? null : `id/${hexOf(identifier)}`,
    uuid: machineIn(packet.options),
    vendorClass,
    userClasses,
    architecture,
    ipxe,
    hostName: hostNameOf(packet),
  };
}

/** What a lease belongs to: the network card, since its address is what all stages of one boot share. */
export function leaseKey(client: Client, by: 'hardware' | 'identifier'): string | null {
  const hardware = isBlank(client.hardwareKey) ? null : client.hardwareKey;
  return by === 'hardware' ? (hardware ?? client.identifierKey) : (client.identifierKey ?? hardware);
}

/** No bytes, or zeros alone. */
function isBlank(hardwareKey: string): boolean {
  for (let at = hardwareKey.indexOf('/') + 1; at < hardwareKey.length; at++)
    if (hardwareKey[at] !== '0') return false;
  return true;
}
