/** What a person chooses a network interface by. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NetworkInterface } from '../../shared/desktop/interface.ts';
import { formatAddress } from '../dhcp/address.ts';
import { findServers } from '../dhcp/foreign.ts';
import { type Network, networks } from '../dhcp/server.ts';
import { placeOf } from '../dhcp/subnet.ts';

const root = '/sys/class/net';
/** ARPHRD_LOOPBACK of linux/if_arp.h. */
const loopback = '772';

function read(name: string, fact: string): string {
  try {
    return readFileSync(join(root, name, fact), 'utf8').trim();
  } catch {
    // An interface that is down refuses to tell its carrier and its speed.
    return '';
  }
}

/** Gateways of default routes by interface, from the text of /proc/net/route (addresses are little-endian there). */
export function routersIn(table: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of table.split('\n').slice(1)) {
    const [name, target, gateway = ''] = line.trim().split(/\s+/);
    if (!name || target !== '00000000' || !/^[0-9A-F]{8}$/i.test(gateway) || gateway === '00000000') continue;
    const bytes = gateway.match(/../g)?.map((byte) => Number.parseInt(byte, 16)) ?? [];
    if (!found.has(name)) found.set(name, bytes.reverse().join('.'));
  }
  return found;
}

function kindOf(name: string): NetworkInterface['kind'] {
  if (existsSync(join(root, name, 'wireless')) || existsSync(join(root, name, 'phy80211'))) return 'wireless';
  return existsSync(join(root, name, 'device')) ? 'wired' : 'virtual';
}

function poolOf(name: string, network: Network | undefined): NetworkInterface['pool'] {
  const place = placeOf({ interface: name, mode: 'full' }, network?.addresses ?? []);
  const pool = place.kind === 'valid' ? place.value.subnets[0]?.pools[0] : undefined;
  return pool ? { first: formatAddress(pool[0]), last: formatAddress(pool[1]) } : null;
}

/** All interfaces but the loop, cables first; on those in `searched` other DHCP servers are looked for. */
export async function networkInterfaces(searched: readonly string[]): Promise<readonly NetworkInterface[]> {
  const known = networks();
  const routers = routersIn(safely(() => readFileSync('/proc/net/route', 'utf8'), ''));
  const names = safely(() => readdirSync(root), []).filter(
    // `bonding_masters` is a file among them.
    (name) => read(name, 'type') !== '' && read(name, 'type') !== loopback,
  );
  const found = await Promise.all(
    names.map(async (name): Promise<NetworkInterface> => {
      const network = known.get(name);
      const own = network?.addresses[0];
      const speed = Number(read(name, 'speed') || 0);
      const up = (Number(read(name, 'flags')) & 1) === 1;
      const link = up && read(name, 'carrier') === '1';
      return {
        name,
        mac: read(name, 'address'),
        kind: kindOf(name),
        address: own ? { ip: formatAddress(own.address), prefix: own.block.prefix } : null,
        up,
        link,
        speed: link && Number.isInteger(speed) && speed > 0 ? speed : null,
        router: routers.get(name) ?? null,
        servers: link && searched.includes(name) ? await search(name, network) : null,
        pool: poolOf(name, network),
      };
    }),
  );
  const order = ['wired', 'virtual', 'wireless'];
  return found.sort(
    (a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || a.name.localeCompare(b.name, 'en'),
  );
}

/** Null where it cannot be looked for: without the right to bind the port of DHCP clients. */
async function search(name: string, network: Network | undefined): Promise<string[] | null> {
  try {
    const own = network?.addresses.map(({ address }) => address) ?? [];
    return [...(await findServers({ device: name, mac: read(name, 'address'), own }))];
  } catch {
    return null;
  }
}

function safely<Value>(work: () => Value, otherwise: Value): Value {
  try {
    return work();
  } catch {
    return otherwise;
  }
}
