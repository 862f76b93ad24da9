/** A lease, and what a decision may ask of the book of leases. */
import type { Ipv4 } from './address.ts';
import type { Subnet } from './situation.ts';

export type LeaseState =
  /** Held for a client that has not taken it yet; lives in memory only. */
  | 'offered'
  | 'bound'
  /** Given back; kept so that the same client gets it again. */
  | 'released'
  /** Somebody else uses it: a client declined it, or it answered a probe. */
  | 'declined';

export interface Lease {
  readonly address: Ipv4;
  readonly state: LeaseState;
  /** Whose it is (`leaseKey`); empty for a declined address. */
  readonly key: string;
  readonly mac: string | null;
  readonly uuid: string | null;
  readonly hostName: string | null;
  readonly vendorClass: string | null;
  readonly interface: string;
  /** Milliseconds since 1970. From `expires` on the address is free for others. */
  readonly since: number;
  readonly expires: number;
}

/** An address that belongs to one machine for ever. */
export interface Reservation {
  readonly mac: string;
  readonly address: Ipv4;
  readonly hostName: string | null;
}

export interface LeaseView {
  /** The last lease of this client, also when it is over and nobody else has the address. */
  readonly ofClient: (key: string) => Lease | null;
  readonly at: (address: Ipv4) => Lease | null;
  readonly reservationOf: (mac: string) => Reservation | null;
  readonly reservedAt: (address: Ipv4) => Reservation | null;
  /** An address that nobody has, holds or has reserved, or null. `own` are not to be given. */
  readonly free: (subnet: Subnet, now: number, own: readonly Ipv4[]) => Ipv4 | null;
}
