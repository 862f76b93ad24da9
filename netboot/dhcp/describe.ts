/** A packet as a person reads it. */
import { formatAddress, formatHardware, type Ipv4 } from './address.ts';
import { architectureOf } from './architecture.ts';
import {
  addressesText,
  architecturesIn,
  byteIn,
  clientIdText,
  hexOf,
  MessageType,
  machineIn,
  Option,
  printable,
  routesIn,
  suboptions,
  userClassesIn,
} from './option.ts';
import { broadcastFlag, type Packet } from './packet.ts';

const typeNames = new Map<number, string>(
  Object.entries(MessageType).map(([name, code]) => [code, name.toUpperCase()]),
);

/** "DISCOVER", "ACK" ..., or what stands in option 53 otherwise. */
export function typeName(packet: Packet): string {
  const type = byteIn(packet.options, Option.messageType);
  if (type === null) return packet.op === 1 ? 'BOOTP request' : 'BOOTP reply';
  return typeNames.get(type) ?? `message type ${type}`;
}

type Form = 'address' | 'seconds' | 'number' | 'text' | 'codes' | 'type' | 'bytes';
const known: Readonly<Record<number, readonly [name: string, form: Form]>> = {
  1: ['subnet mask', 'address'],
  3: ['router', 'address'],
  6: ['name servers', 'address'],
  12: ['host name', 'text'],
  13: ['boot file size', 'number'],
  15: ['domain', 'text'],
  17: ['root path', 'text'],
  26: ['interface MTU', 'number'],
  28: ['broadcast address', 'address'],
  42: ['NTP servers', 'address'],
  43: ['vendor specific', 'bytes'],
  50: ['requested address', 'address'],
  51: ['lease time', 'seconds'],
  53: ['message type', 'type'],
  54: ['server identifier', 'address'],
  55: ['parameter list', 'codes'],
  56: ['message', 'text'],
  57: ['maximum size', 'number'],
  58: ['renewal time', 'seconds'],
  59: ['rebinding time', 'seconds'],
  60: ['vendor class', 'text'],
  61: ['client identifier', 'bytes'],
  66: ['TFTP server', 'text'],
  67: ['boot file', 'text'],
  77: ['user class', 'text'],
  80: ['rapid commit', 'bytes'],
  81: ['client FQDN', 'bytes'],
  82: ['relay information', 'bytes'],
  93: ['architecture', 'bytes'],
  94: ['network interface', 'bytes'],
  97: ['machine identifier', 'bytes'],
  118: ['subnet selection', 'address'],
  119: ['domain search', 'bytes'],
  121: ['classless routes', 'bytes'],
  150: ['TFTP servers', 'address'],
  175: ['iPXE', 'bytes'],
  209: ['configuration file', 'text'],
  210: ['path prefix', 'text'],
};

function numberOf(value: Uint8Array): number | null {
  return value.length > 0 && value.length <= 4 ? Number.parseInt(hexOf(value), 16) : null;
}

function nested(value: Uint8Array, code: number): string {
  const parts = [...suboptions(value, code)].map(([sub, inner]) => `${sub}=${hexOf(inner) || '(empty)'}`);
  return parts.length > 0 ? parts.join(' ') : hexOf(value);
}

function special(packet: Packet, code: number, value: Uint8Array): string | null {
  switch (code) {
    case Option.clientIdentifier:
      return clientIdText(value);
    case Option.userClass:
      return userClassesIn(packet.options)
        .map((item) => `"${item}"`)
        .join(' ');
    case Option.architecture:
      return architecturesIn(packet.options)
        .map((number) => `${number} (${architectureOf(number).name})`)
        .join(', ');
    case Option.machineIdentifier:
      return machineIn(packet.options);
    case Option.classlessRoutes:
      return (
        routesIn(packet.options)
          ?.map(
            (route) => `${formatAddress(route.network)}/${route.prefix} via ${formatAddress(route.gateway)}`,
          )
          .join(', ') ?? null
      );
    case Option.vendorSpecific:
    case Option.relayInformation:
    case Option.ipxe:
      return nested(value, code);
    default:
      return null;
  }
}

function valueText(packet: Packet, code: number, value: Uint8Array, form: Form): string {
  if (value.length === 0) return '(empty)';
  const found = special(packet, code, value);
  if (found !== null) return found;
  switch (form) {
    case 'address':
      return addressesText(value) ?? hexOf(value);
    case 'seconds': {
      const seconds = numberOf(value);
      return seconds === null ? hexOf(value) : seconds === 0xffffffff ? 'for ever' : `${seconds} s`;
    }
    case 'number':
      return String(numberOf(value) ?? hexOf(value));
    case 'text':
      return `"${printable(value)}"`;
    case 'codes':
      return [...value].join(' ');
    case 'type':
      return typeName(packet);
    case 'bytes':
      return hexOf(value);
  }
}

/** Client of `packet` as "52:54:00:12:34:56". */
export function hardwareOf(packet: Packet): string {
  return formatHardware(packet.chaddr.subarray(0, packet.hlen));
}

/** One line for the packet, one for each field that is set, one for each option, in wire order. */
export function describe(packet: Packet): string {
  const number = `xid ${packet.xid.toString(16).padStart(8, '0')}`;
  const lines = [`${typeName(packet)} of ${hardwareOf(packet) || 'no hardware address'}, ${number}`];
  const field = (name: string, address: Ipv4) => {
    if (address !== 0) lines.push(`  ${name} ${formatAddress(address)}`);
  };
  if (packet.htype !== 1) lines.push(`  hardware type ${packet.htype}`);
  if (packet.secs !== 0) lines.push(`  secs ${packet.secs}`);
  if ((packet.flags & broadcastFlag) !== 0) lines.push('  answer by broadcast');
  if (packet.hops !== 0) lines.push(`  hops ${packet.hops}`);
  field('ciaddr', packet.ciaddr);
  field('yiaddr', packet.yiaddr);
  field('siaddr', packet.siaddr);
  field('giaddr', packet.giaddr);
  if (packet.sname !== '') lines.push(`  sname "${printable(Buffer.from(packet.sname, 'latin1'))}"`);
  if (packet.file !== '') lines.push(`  file "${printable(Buffer.from(packet.file, 'latin1'))}"`);
  for (const [code, value] of packet.options) {
    const [name, form] = known[code] ?? ['', 'bytes'];
    lines.push(`  option ${code}${name === '' ? '' : ` ${name}`}: ${valueText(packet, code, value, form)}`);
  }
  return lines.join('\n');
}
