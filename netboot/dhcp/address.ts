/** IPv4 addresses as unsigned 32-bit numbers: compared, counted and masked without parsing again. */
export type Ipv4 = number;

export const noAddress: Ipv4 = 0;
export const everyone: Ipv4 = 0xffffffff;

/** The address in dotted form, or null when `text` is none. Octets with leading zeros are refused: some read them as octal. */
export function parseAddress(text: string): Ipv4 | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return null;
  let address = 0;
  for (const octet of match.slice(1)) {
    const value = Number(octet);
    if (value > 255 || (octet.length > 1 && octet.startsWith('0'))) return null;
    address = address * 256 + value;
  }
  return address;
}

/** The last addresses that were formatted, by their last bits: one packet names the same few again and again. */
const formatted = { addresses: new Float64Array(1024).fill(-1), texts: new Array<string>(1024).fill('') };

export function formatAddress(address: Ipv4): string {
  const slot = address & 1023;
  const known = formatted.texts[slot];
  if (known !== undefined && formatted.addresses[slot] === address) return known;
  const text = `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
  formatted.addresses[slot] = address;
  formatted.texts[slot] = text;
  return text;
}

/** A block of addresses: `network` has no bit outside the prefix. */
export interface Block {
  readonly network: Ipv4;
  readonly prefix: number;
}

export function maskOf(prefix: number): Ipv4 {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
}

export function blockOf(address: Ipv4, prefix: number): Block {
  return { network: (address & maskOf(prefix)) >>> 0, prefix };
}

/** Parses "10.0.0.0/24"; bits outside the prefix are cleared. Null when it is none. */
export function parseBlock(text: string): Block | null {
  const [head = '', tail = '', ...rest] = text.split('/');
  const address = parseAddress(head);
  if (address === null || rest.length > 0 || !/^\d{1,2}$/.test(tail) || Number(tail) > 32) return null;
  return blockOf(address, Number(tail));
}

export function formatBlock({ network, prefix }: Block): string {
  return `${formatAddress(network)}/${prefix}`;
}

export function holds({ network, prefix }: Block, address: Ipv4): boolean {
  return (address & maskOf(prefix)) >>> 0 === network;
}

export function broadcastOf({ network, prefix }: Block): Ipv4 {
  return (network | ~maskOf(prefix)) >>> 0;
}

/** Whether a machine may have `address`: neither the network's own nor its broadcast address (RFC 3021 for /31). */
export function isHost(block: Block, address: Ipv4): boolean {
  if (!holds(block, address)) return false;
  return block.prefix >= 31 || (address !== block.network && address !== broadcastOf(block));
}

const octets = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

const few = 32;

/** The first `length` bytes as hexadecimal digits. For a few bytes a `Buffer` around them would cost several times more. */
export function hexOf(bytes: Uint8Array, length = bytes.length): string {
  if (length > few) return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('hex');
  let text = '';
  for (let at = 0; at < length; at++) text += octets[bytes[at] ?? 0];
  return text;
}

/** Hardware address of `length` bytes as "52:54:00:12:34:56". */
export function formatHardware(bytes: Uint8Array, length = bytes.length): string {
  let text = length > 0 ? (octets[bytes[0] ?? 0] ?? '') : '';
  for (let at = 1; at < length; at++) text += `:${octets[bytes[at] ?? 0]}`;
  return text;
}

/** Six bytes of "52:54:00:12:34:56", "52-54-..." or "525400...", or null. */
export function parseHardware(text: string): Uint8Array | null {
  const plain = /^[0-9a-f]{12}$/i.test(text) ? text : null;
  const parts = /^[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}$/i.test(text)
    ? text.replace(/[:-]/g, '')
    : null;
  const hex = plain ?? parts;
  return hex === null ? null : new Uint8Array(Buffer.from(hex, 'hex'));
}
