/** Tasks as a part of the appliance: where addresses of machines are known, and what is taken away in time. */
import type { Part } from '../appliance.ts';
import { formatAddress } from '../dhcp/address.ts';
import { dhcpOf } from '../dhcp/part.ts';
import type { Services } from '../services.ts';
import { addressBook } from '../story/addresses.ts';
import type { AddressesOf } from './perform.ts';

const hour = 3_600_000;
const minute = 60_000;

export async function tasksPart(services: Services): Promise<Part> {
  const { tasks, log } = services;
  await tasks.start(addressesOf(services));
  const timer = setInterval(() => {
    tasks.prune().catch((error: unknown) => log.error('upkeep', { task: 'runs', problem: String(error) }));
  }, hour);
  const looking = setInterval(() => void tasks.lookAtKey(), minute).unref();
  return {
    name: 'tasks',
    close: () => {
      clearInterval(timer);
      clearInterval(looking);
      return tasks.close();
    },
  };
}

function addressesOf(services: Services): AddressesOf {
  return (mac) => {
    const now = services.clock();
    const { book } = dhcpOf(services).store;
    const leased = [...book.leases]
      .filter((lease) => lease.mac === mac && lease.state === 'bound' && lease.expires > now)
      .sort((one, other) => other.since - one.since)
      .map((lease) => formatAddress(lease.address));
    return { leased, seen: addressBook(services).addressesOf(mac, now) };
  };
}
