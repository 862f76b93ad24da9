/** Which machine uses an address: from DHCP as we see it, our leases, and the kernel's neighbour table. */
import { readFileSync } from 'node:fs';

interface Seen {
  readonly mac: string;
  readonly at: number;
}

const most = 20_000;
/** An address may be another machine's after this time, in milliseconds. */
const lasting = 3_600_000;
const tableAge = 1_000;

const books = new WeakMap<object, AddressBook>();

/** The addresses that one appliance (its `Services`) has seen. */
export function addressBook(appliance: object): AddressBook {
  const found = books.get(appliance) ?? new AddressBook();
  books.set(appliance, found);
  return found;
}

/** MAC of the machine that uses `address`, null where nobody told. */
export function macOfAddress(appliance: object, address: string): string | null {
  return addressBook(appliance).macOf(address);
}

export class AddressBook {
  readonly #seen = new Map<string, Seen>();
  #table: ReadonlyMap<string, string> = new Map();
  #tableAt = Number.NEGATIVE_INFINITY;

  /** `mac` was seen to use `address` at `at` (milliseconds). */
  learn(mac: string, address: string, at: number): void {
    if (address === '0.0.0.0') return;
    this.#seen.delete(address);
    this.#seen.set(address, { mac, at });
    if (this.#seen.size > most) this.#seen.delete(this.#seen.keys().next().value ?? '');
  }

  macOf(address: string, now: number = Date.now()): string | null {
    const seen = this.#seen.get(address);
    if (seen && now - seen.at < lasting) return seen.mac;
    return this.#neighbours().get(address) ?? null;
  }

  /** Addresses that `mac` was seen to use, the newest first. */
  addressesOf(mac: string, now: number = Date.now()): readonly string[] {
    const seen = [...this.#seen].filter(([, one]) => one.mac === mac && now - one.at < lasting).reverse();
    const near = [...this.#neighbours()].filter(([, each]) => each === mac);
    return [...new Set([...seen, ...near].map(([address]) => address))];
  }

  #neighbours(): ReadonlyMap<string, string> {
    const now = performance.now();
    if (now - this.#tableAt < tableAge) return this.#table;
    this.#tableAt = now;
    try {
      this.#table = parseNeighbours(readFileSync('/proc/net/arp', 'latin1'));
    } catch {
      this.#table = new Map();
    }
    return this.#table;
  }
}

/** Complete entries of /proc/net/arp (proc(5)): MAC by address. */
export function parseNeighbours(table: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of table.split('\n').slice(1)) {
    const [address, , flags, mac] = line.split(/\s+/);
    if (address && mac && Number(flags) & 2 && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac))
      found.set(address, mac);
  }
  return found;
}
