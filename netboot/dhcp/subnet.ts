/** From settings as people write them to places as decisions see them. */
import type { DhcpInterface, DhcpSubnet } from '../../shared/contract/dhcp.ts';
import {
  type Block,
  broadcastOf,
  formatAddress,
  formatBlock,
  holds,
  type Ipv4,
  isHost,
  parseAddress,
  parseBlock,
} from './address.ts';
import type { Route } from './option.ts';
import type { Place, Subnet } from './situation.ts';

export type Checked<Value> =
  | { readonly kind: 'valid'; readonly value: Value }
  | { readonly kind: 'invalid'; readonly problem: string };

/** More addresses than this in one pool are more than a network of machines needs, and would cost memory. */
const mostInPool = 1 << 20;

class Problem extends Error {}

function address(text: string, what: string): Ipv4 {
  const value = parseAddress(text);
  if (value === null) throw new Problem(`${what}: "${text}" is no IPv4 address`);
  return value;
}

function pool(block: Block, range: { readonly first: string; readonly last: string }): readonly [Ipv4, Ipv4] {
  const first = address(range.first, 'pool');
  const last = address(range.last, 'pool');
  const text = `the pool ${range.first} - ${range.last}`;
  if (first > last) throw new Problem(`${text} ends before it begins`);
  if (!isHost(block, first) || !isHost(block, last)) {
    throw new Problem(`${text} is not inside ${formatBlock(block)}`);
  }
  if (last - first >= mostInPool) throw new Problem(`${text} holds more than ${mostInPool} addresses`);
  return [first, last];
}

function route(given: { readonly network: string; readonly gateway: string }): Route {
  const block = parseBlock(given.network);
  if (block === null) throw new Problem(`route: "${given.network}" is no network like 10.0.0.0/8`);
  return { ...block, gateway: address(given.gateway, 'route') };
}

/** The upper three quarters of the network: its lowest addresses belong to routers and servers. */
function wholePool(block: Block): readonly [Ipv4, Ipv4] {
  const size = 2 ** (32 - block.prefix);
  const first = block.network + Math.min(Math.max(1, Math.floor(size / 4)), mostInPool);
  return [first, Math.min(broadcastOf(block) - 1, first + mostInPool - 1)];
}

function subnetOf(given: DhcpSubnet): Subnet {
  const block = parseBlock(given.network);
  if (block === null || block.prefix > 30 || block.prefix < 8) {
    throw new Problem(`"${given.network}" is no network like 10.0.0.0/24`);
  }
  const pools = given.pools?.map((range) => pool(block, range)) ?? [wholePool(block)];
  return {
    block,
    pools,
    routers: given.router ? [address(given.router, 'router')] : [],
    nameServers: (given.dns ?? []).map((text) => address(text, 'dns')),
    domain: given.domain ?? null,
    timeServers: (given.ntp ?? []).map((text) => address(text, 'ntp')),
    routes: (given.routes ?? []).map(route),
    leaseSeconds: given.leaseSeconds ?? 900,
  };
}

/** Addresses that an interface has now. */
export interface Own {
  readonly address: Ipv4;
  readonly block: Block;
}

/** The place that `given` describes on an interface with these addresses. */
export function placeOf(given: DhcpInterface, addresses: readonly Own[]): Checked<Place> {
  try {
    const named = (given.subnets ?? []).map(subnetOf);
    const first = addresses[0];
    // Without subnets the network of the interface is served.
    const derived =
      named.length === 0 && first && first.block.prefix <= 30
        ? [subnetOf({ network: formatBlock(first.block) })]
        : [];
    const subnets = [...named, ...derived];
    for (const [index, { block }] of subnets.entries()) {
      const twin = subnets.findIndex(
        (other) => holds(other.block, block.network) || holds(block, other.block.network),
      );
      if (twin !== index) throw new Problem(`the networks ${formatBlock(block)} and another one overlap`);
    }
    return {
      kind: 'valid',
      value: {
        name: given.interface,
        mode: given.mode,
        authoritative: given.authoritative ?? true,
        leaseBy: given.leaseBy ?? 'hardware',
        addresses,
        subnets,
        relays: (given.relays ?? []).map((text) => address(text, 'relay')),
      },
    };
  } catch (error) {
    if (error instanceof Problem) return { kind: 'invalid', problem: error.message };
    throw error;
  }
}

export function addressesText(addresses: readonly Own[]): string {
  return addresses.map((own) => `${formatAddress(own.address)}/${own.block.prefix}`).join(', ') || 'none';
}
