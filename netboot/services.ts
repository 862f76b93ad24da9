/** What the parts of the appliance offer one another. `appliance.ts` makes it; routes and servers receive it. */
import type { Access } from './access/access.ts';
import type { Config } from './config/settings.ts';
import type { Hub } from './events/hub.ts';
import type { EventLog } from './events/log.ts';
import type { TrustedProxies } from './http/authority.ts';
import type { Log } from './log.ts';
import type { Database } from './store/database.ts';

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
  /** Any part may add what it needs to be ready. */
  readonly readiness: (() => Readiness | Promise<Readiness>)[];
}
