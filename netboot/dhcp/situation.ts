/** What a decision sees and what it says: values only, so that every decision can be repeated and explained. */
import type { ReplyForm } from '../story/step.ts';
import type { Block, Ipv4 } from './address.ts';
import type { Architecture, Flavor } from './architecture.ts';
import type { Client } from './client.ts';
import type { Attempt } from './ladder.ts';
import type { Lease, LeaseView } from './lease.ts';
import type { Route } from './option.ts';
import type { Packet } from './packet.ts';

export type Mode = 'off' | 'proxy' | 'full';

/** Addresses of one network that the appliance hands out, and what it tells with them. */
export interface Subnet {
  readonly block: Block;
  /** First and last address, both included. */
  readonly pools: readonly (readonly [first: Ipv4, last: Ipv4])[];
  readonly routers: readonly Ipv4[];
  readonly nameServers: readonly Ipv4[];
  readonly domain: string | null;
  readonly timeServers: readonly Ipv4[];
  readonly routes: readonly Route[];
  readonly leaseSeconds: number;
}

/** One interface and how it is served. */
export interface Place {
  readonly name: string;
  readonly mode: Mode;
  /** True: clients that hold another network's address are told so at once (NAK). */
  readonly authoritative: boolean;
  readonly leaseBy: 'hardware' | 'identifier';
  /** The interface's own addresses; the first one is who we are. */
  readonly addresses: readonly { readonly address: Ipv4; readonly block: Block }[];
  readonly subnets: readonly Subnet[];
  /** Relays that may ask from networks which are none of `subnets`. */
  readonly relays: readonly Ipv4[];
}

export interface Override {
  readonly flavor: Flavor | null;
  /** Name of a boot file, before every rule. */
  readonly file: string | null;
  readonly form: ReplyForm | null;
}

export interface BootPolicy {
  /** Port of the appliance's HTTP server on the boot network. */
  readonly httpPort: number;
  /** Path of the script that iPXE is sent to. */
  readonly scriptPath: string;
  /** Path under which HTTP serves boot files, with a slash at its end. */
  readonly filePath: string;
  /** Whether there is a boot file of this name. */
  readonly has: (file: string) => boolean;
  /** Overrides for this machine, and the text that says where they come from. */
  readonly overrideFor: (client: Client) => { readonly override: Override; readonly from: string } | null;
}

/** What is known of a machine from its earlier packets. */
export interface MachineMemory {
  readonly attempt: Attempt | null;
  readonly remembered: { readonly form: ReplyForm; readonly from: string } | null;
  /** Times it fetched a boot file since it last asked for a script, within the window. */
  readonly fetches: number;
  /** When it was last told to load our iPXE, in milliseconds since 1970, or null. */
  readonly chained: number | null;
}

export interface Situation {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly place: Place;
  readonly port: 67 | 4011;
  readonly from: { readonly address: Ipv4; readonly port: number };
  /** Whether it was sent to us alone. Null where the socket cannot tell. */
  readonly unicast: boolean | null;
  readonly leases: LeaseView;
  readonly boot: BootPolicy;
  /** What is remembered of the client; most boot nothing, and then nobody asks. */
  readonly recall: () => MachineMemory;
}

export interface Reason {
  /** Name of the rule, stable, for machines. */
  readonly rule: string;
  readonly text: string;
}

export type Change =
  /** `lease` is what the book says from now on of its address. */
  | { readonly kind: 'lease'; readonly lease: Lease }
  /** The offer of this address is taken back. */
  | { readonly kind: 'withdraw'; readonly address: Ipv4 }
  | { readonly kind: 'attempt'; readonly mac: string; readonly attempt: Attempt }
  | { readonly kind: 'chained'; readonly mac: string };

export interface Reply {
  readonly packet: Packet;
  readonly to: { readonly address: Ipv4; readonly port: number };
  /** The address it must come from; the port is the one it was asked on. */
  readonly from: Ipv4;
  /** Most bytes of the payload, and whether option 52 may be used. */
  readonly maximum: number;
  readonly overload: boolean;
  readonly form: ReplyForm;
  readonly bootFile: string | null;
}

export type Alarm = 'boot-loop' | 'pool-empty' | 'declined' | 'foreign-server';

export interface Decision {
  /** Null: silence is the answer. */
  readonly reply: Reply | null;
  readonly changes: readonly Change[];
  /** An address that nobody may answer for before the offer goes out. */
  readonly probe: Ipv4 | null;
  /** In the order in which they were decided; the last one decided the matter. */
  readonly reasons: readonly Reason[];
  readonly alarm: { readonly kind: Alarm; readonly text: string } | null;
  readonly client: Client;
  /** Another server that this packet shows to be on the segment. */
  readonly foreign: Ipv4 | null;
}

export type { Architecture, Client, Lease, Packet };
