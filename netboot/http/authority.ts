/** Who asked, and by which name: the two things that a request claims and that scripts, logs and locks rely on. */
import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

const name = '[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?';
const pattern = new RegExp(`^(?:${name}|\\[[0-9a-fA-F:.]{2,45}\\])(?::([0-9]{1,5}))?$`);

/** `host` when it is a well-formed authority (host and perhaps port), else null. It is then safe in a URL. */
export function authority(host: string): string | null {
  const found = pattern.exec(host);
  if (found === null) return null;
  if (found[1] !== undefined && Number(found[1]) > 65_535) return null;
  if (host.startsWith('[') && !isIPv6(host.slice(1, host.indexOf(']')))) return null;
  return host;
}

/** The authority of the socket's own end: for clients that send no Host (HTTP/1.0). */
export function ownAuthority(request: IncomingMessage): string {
  const { localAddress = '127.0.0.1', localPort = 80 } = request.socket;
  const address = plainAddress(localAddress);
  return `${address.includes(':') ? `[${address}]` : address}:${localPort}`;
}

/** An IPv4 address that came mapped into IPv6 is that IPv4 address; zone names are left out. */
export function plainAddress(address: string): string {
  const bare = address.replace(/%.*$/, '');
  return bare.toLowerCase().startsWith('::ffff:') && bare.includes('.') ? bare.slice(7) : bare;
}

/** Which proxies are believed. */
export interface TrustedProxies {
  readonly everyone: boolean;
  readonly networks: readonly (readonly [ipaddr.IPv4 | ipaddr.IPv6, number])[];
}

/** Words of the setting `trusted_proxy`: addresses, networks; any other word believes everyone, as the release did. */
export function trustedProxies(words: readonly string[]): TrustedProxies {
  const networks: (readonly [ipaddr.IPv4 | ipaddr.IPv6, number])[] = [];
  let everyone = false;
  for (const word of words) {
    if (ipaddr.isValidCIDR(word)) networks.push(ipaddr.parseCIDR(word));
    else if (ipaddr.isValid(word) && word.length > 4) {
      const parsed = ipaddr.parse(word);
      networks.push([parsed, parsed.kind() === 'ipv4' ? 32 : 128]);
    } else everyone = true;
  }
  return { everyone, networks };
}

function trusts({ everyone, networks }: TrustedProxies, address: string): boolean {
  if (everyone) return true;
  if (networks.length === 0 || !ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  return networks.some(([network, bits]) => network.kind() === parsed.kind() && parsed.match(network, bits));
}

/**
 * Address of the client: the socket's peer, or, when that is a proxy that is believed, what it says. With named
 * proxies that is the last address that is not one of them; everyone believed, the first.
 */
export function clientAddress(
  peer: string | undefined,
  forwarded: string | readonly string[] | undefined,
  proxies: TrustedProxies,
): string {
  const direct = plainAddress(peer ?? '0.0.0.0');
  if (forwarded === undefined || !trusts(proxies, direct)) return direct;
  const hops = String(forwarded)
    .split(',')
    .map((hop) => plainAddress(hop.trim()))
    .filter((hop) => ipaddr.isValid(hop) && (hop.includes('.') || hop.includes(':')));
  if (proxies.everyone) return hops[0] ?? direct;
  return hops.findLast((hop) => !trusts(proxies, hop)) ?? direct;
}
