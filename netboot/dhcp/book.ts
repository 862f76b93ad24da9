/** The book of leases and reservations in memory. Reading it is free of side effects that anyone can see. */
import { holds, type Ipv4 } from './address.ts';
import type { Lease, LeaseView, Reservation } from './lease.ts';
import type { Subnet } from './situation.ts';

/** Milliseconds that an offer is held at most, and how many addresses one search looks at before it gives up. */
const longestOffer = 30_000;
const mostLookedAt = 1024;

/** Addresses by the time they become free: a binary heap whose stale entries are thrown away when they surface. */
class Queue {
  private readonly times: number[] = [];
  private readonly addresses: Ipv4[] = [];

  get size(): number {
    return this.times.length;
  }

  push(time: number, address: Ipv4): void {
    let at = this.times.length;
    this.times.push(time);
    this.addresses.push(address);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.times[parent] ?? 0) <= time) break;
      this.swap(at, parent);
      at = parent;
    }
  }

  first(): { time: number; address: Ipv4 } | null {
    const [time] = this.times;
    const [address] = this.addresses;
    return time === undefined || address === undefined ? null : { time, address };
  }

  pop(): void {
    const last = this.times.length - 1;
    if (last < 0) return;
    this.swap(0, last);
    this.times.pop();
    this.addresses.pop();
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < last && (this.times[child] ?? 0) < (this.times[least] ?? 0)) least = child;
      }
      if (least === at) return;
      this.swap(at, least);
      at = least;
    }
  }

  private swap(a: number, b: number): void {
    const time = this.times[a] ?? 0;
    const address = this.addresses[a] ?? 0;
    this.times[a] = this.times[b] ?? 0;
    this.addresses[a] = this.addresses[b] ?? 0;
    this.times[b] = time;
    this.addresses[b] = address;
  }
}

/** Where the search for addresses that nobody ever had goes on, and the ones that were had, by their end. */
interface Shelf {
  readonly ended: Queue;
  fresh: Ipv4[];
}

export class Book implements LeaseView {
  private readonly byAddress = new Map<Ipv4, Lease>();
  private readonly byKey = new Map<string, Lease>();
  private readonly reservationByMac = new Map<string, Reservation>();
  private readonly reservationByAddress = new Map<Ipv4, Reservation>();
  private readonly shelves = new Map<string, Shelf>();
  private readonly blocks = new Map<string, Subnet>();

  ofClient(key: string): Lease | null {
    return this.byKey.get(key) ?? null;
  }

  at(address: Ipv4): Lease | null {
    return this.byAddress.get(address) ?? null;
  }

  reservationOf(mac: string): Reservation | null {
    return this.reservationByMac.get(mac) ?? null;
  }

  reservedAt(address: Ipv4): Reservation | null {
    return this.reservationByAddress.get(address) ?? null;
  }

  get leases(): IterableIterator<Lease> {
    return this.byAddress.values();
  }

  get reservations(): IterableIterator<Reservation> {
    return this.reservationByMac.values();
  }

  get size(): number {
    return this.byAddress.size;
  }

  /** Leases in the order of their addresses, after the address `after`, `most` at most; what is only offered is none. */
  page(after: Ipv4 | null, most: number): { readonly leases: readonly Lease[]; readonly all: number } {
    const found: Ipv4[] = [];
    let all = 0;
    for (const { address, state } of this.byAddress.values()) {
      if (state === 'offered') continue;
      all++;
      if (after === null || address > after) found.push(address);
    }
    const leases = [...Uint32Array.from(found).sort().subarray(0, most)].flatMap(
      (address) => this.byAddress.get(address) ?? [],
    );
    return { leases, all };
  }

  /** Writes `lease` down for its address. Returns the client's lease of another address, which thereby ended. */
  put(lease: Lease): Lease | null {
    const before = this.byAddress.get(lease.address);
    if (before && before.key !== lease.key && this.byKey.get(before.key)?.address === lease.address) {
      this.byKey.delete(before.key);
    }
    let ended: Lease | null = null;
    const other = lease.key === '' ? undefined : this.byKey.get(lease.key);
    if (other && other.address !== lease.address) {
      // A lease in force is not given up for an offer that may never be taken.
      if (lease.state === 'offered' && other.state === 'bound') this.note(lease);
      else ended = this.end(other, lease.since);
    }
    this.byAddress.set(lease.address, lease);
    if (lease.key !== '') this.byKey.set(lease.key, lease);
    if (ended === null || lease.address !== ended.address) this.note(lease);
    return ended;
  }

  private end(lease: Lease, now: number): Lease | null {
    if (lease.state === 'offered') {
      this.withdraw(lease.address);
      return null;
    }
    const ended: Lease = { ...lease, state: 'released', expires: Math.min(lease.expires, now) };
    this.byAddress.set(lease.address, ended);
    this.note(ended);
    return ended;
  }

  /** Takes an offer back: the address is as if nobody had asked. */
  withdraw(address: Ipv4): void {
    const lease = this.byAddress.get(address);
    if (lease?.state !== 'offered') return;
    const ended: Lease = { ...lease, expires: 0 };
    this.byAddress.set(address, ended);
    if (this.byKey.get(lease.key)?.address === address) this.byKey.delete(lease.key);
    this.note(ended);
  }

  forget(address: Ipv4): void {
    const lease = this.byAddress.get(address);
    if (!lease) return;
    this.withdraw(address);
    this.put({ ...lease, key: '', state: 'released', expires: 0 });
    if (this.byKey.get(lease.key)?.address === address) this.byKey.delete(lease.key);
  }

  reserve(reservation: Reservation): void {
    this.unreserve(reservation.mac);
    const other = this.reservationByAddress.get(reservation.address);
    if (other) this.unreserve(other.mac);
    this.reservationByMac.set(reservation.mac, reservation);
    this.reservationByAddress.set(reservation.address, reservation);
  }

  unreserve(mac: string): boolean {
    const reservation = this.reservationByMac.get(mac);
    if (!reservation) return false;
    this.reservationByMac.delete(mac);
    this.reservationByAddress.delete(reservation.address);
    // It may be given again, and the search for fresh addresses may have passed it.
    if (!this.byAddress.has(reservation.address)) this.shelves.clear();
    return true;
  }

  /** The clock was set: every lease lasts as long as before. */
  moveTime(by: number): void {
    for (const [address, lease] of this.byAddress) {
      if (lease.expires === 0) continue;
      const moved = { ...lease, since: lease.since + by, expires: lease.expires + by };
      this.byAddress.set(address, moved);
      if (this.byKey.get(lease.key) === lease) this.byKey.set(lease.key, moved);
    }
    this.shelves.clear();
  }

  private note(lease: Lease): void {
    for (const [name, subnet] of this.blocks) {
      if (holds(subnet.block, lease.address))
        this.shelves.get(name)?.ended.push(lease.expires, lease.address);
    }
  }

  private shelf(subnet: Subnet): Shelf {
    const name = nameOf(subnet);
    const found = this.shelves.get(name);
    // Renewals leave stale entries behind; far more of them than leases are swept away at once.
    if (found && found.ended.size <= 2 * this.byAddress.size + 4096) return found;
    const ended = new Queue();
    for (const lease of this.byAddress.values()) {
      if (holds(subnet.block, lease.address)) ended.push(lease.expires, lease.address);
    }
    const shelf = { ended, fresh: found?.fresh ?? subnet.pools.map(([first]) => first) };
    this.shelves.set(name, shelf);
    this.blocks.set(name, subnet);
    return shelf;
  }

  free(subnet: Subnet, now: number, own: readonly Ipv4[]): Ipv4 | null {
    const isOver = (lease: Lease) => lease.expires <= now;
    // A flood of DISCOVERs must not lock the pool: what nobody took within two seconds is offered to the next.
    const isUntaken = (lease: Lease) => lease.state === 'offered' && lease.since <= now - 2000;
    return (
      this.freshIn(subnet, own) ??
      this.endedIn(subnet, now, own, isOver) ??
      this.endedIn(subnet, now + longestOffer, own, isUntaken)
    );
  }

  /** Addresses that the next clients will get, for probing ahead. */
  upcoming(subnet: Subnet, own: readonly Ipv4[], most: number): Ipv4[] {
    const found: Ipv4[] = [];
    const shelf = this.shelf(subnet);
    for (const [index, [, last]] of subnet.pools.entries()) {
      for (let at = shelf.fresh[index] ?? 0; at <= last && found.length < most; at++) {
        if (this.isUntouched(at, own)) found.push(at);
      }
    }
    return found;
  }

  private isUntouched(address: Ipv4, own: readonly Ipv4[]): boolean {
    return !this.byAddress.has(address) && !this.reservationByAddress.has(address) && !own.includes(address);
  }

  private freshIn(subnet: Subnet, own: readonly Ipv4[]): Ipv4 | null {
    const shelf = this.shelf(subnet);
    for (const [index, [, last]] of subnet.pools.entries()) {
      let at = shelf.fresh[index] ?? 0;
      while (at <= last && !this.isUntouched(at, own)) at++;
      shelf.fresh[index] = at;
      if (at <= last) return at;
    }
    return null;
  }

  /** The address that is or becomes free first and is not after `until`, of those that `may` be given. */
  private endedIn(
    subnet: Subnet,
    until: number,
    own: readonly Ipv4[],
    may: (lease: Lease) => boolean,
  ): Ipv4 | null {
    const { ended } = this.shelf(subnet);
    const waiting = new Set<Ipv4>();
    let found: Ipv4 | null = null;
    for (let first = ended.first(); first && first.time <= until; first = ended.first()) {
      const lease = this.byAddress.get(first.address);
      ended.pop();
      if (!lease || lease.expires !== first.time || !inPools(subnet, first.address)) continue;
      waiting.add(first.address);
      const isTaken = this.reservationByAddress.has(first.address) || own.includes(first.address);
      if (!isTaken && may(lease)) found = first.address;
      if (found !== null || waiting.size >= mostLookedAt) break;
    }
    for (const address of waiting) ended.push(this.byAddress.get(address)?.expires ?? 0, address);
    return found;
  }
}

const names = new WeakMap<Subnet, string>();

/** Settings that are read again make new subnets of the same pools. */
function nameOf(subnet: Subnet): string {
  const known = names.get(subnet);
  if (known !== undefined) return known;
  const name = subnet.pools.map(([first, last]) => `${first}-${last}`).join(',');
  names.set(subnet, name);
  return name;
}

function inPools(subnet: Subnet, address: Ipv4): boolean {
  return subnet.pools.some(([first, last]) => address >= first && address <= last);
}
