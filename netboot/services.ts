/** What the parts of the appliance offer one another. `appliance.ts` makes it; routes and servers receive it. */
import type { Access } from './access/access.ts';
import type { LiveSystems } from './boot/live.ts';
import type { Config } from './config/settings.ts';
import type { Hub } from './events/hub.ts';
import type { EventLog } from './events/log.ts';
import type { TrustedProxies } from './http/authority.ts';
import type { ImagePlane } from './images/plane.ts';
import type { Log } from './log.ts';
import type { Boots } from './machines/boots.ts';
import type { Machines } from './machines/machines.ts';
import type { Metrics } from './metrics.ts';
import type { Database } from './store/database.ts';
import type { Tasks } from './tasks/tasks.ts';

/** One of the things without which the appliance is alive but not ready. */
export interface Readiness {
  readonly name: string;
  readonly ok: boolean;
  /** Why, as a sentence, when it is not. */
  readonly reason: string | null;
}

export interface Services {
  readonly config: Config;
  readonly version: string;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly database: Database;
  /** What happens, for those who listen now. */
  readonly hub: Hub;
  readonly proxies: TrustedProxies;
  /** What happened, for ever. */
  readonly events: EventLog;
  /** Who may do what. */
  readonly access: Access;
  /** What the operator decides about machines. */
  readonly machines: Machines;
  /** What machines do by themselves. */
  readonly boots: Boots;
  /** What is done on machines after a flash, over SSH. */
  readonly tasks: Tasks;
  /** Images, boot files and background jobs. */
  readonly images: ImagePlane;
  /** Path of a boot program that packages of the system bring along; null when there is none of that name. */
  readonly builtinBootFile: (name: string) => Promise<string | null>;
  readonly live: LiveSystems;
  /** SHA-256 of the CA's certificate (DER) in hex; null without TLS. */
  readonly fingerprint: () => string | null;
  /** Aborted when the appliance begins to close: streams end, transfers park. */
  readonly ending: AbortSignal;
  /** Asks whoever runs the appliance to end it and to start it anew. */
  readonly startAnew: () => void;
  readonly metrics: Metrics;
  /** Any part may add what it needs to be ready. */
  readonly readiness: (() => Readiness | Promise<Readiness>)[];
}
