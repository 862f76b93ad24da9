/** The appliance: configuration -> store -> services -> servers, started and closed as one thing. */
import { failure } from '../shared/failure.ts';
import { Access } from './access/access.ts';
import { LiveSystems } from './boot/live.ts';
import type { Config } from './config/settings.ts';
import { dhcpPart } from './dhcp/part.ts';
import { Hub } from './events/hub.ts';
import { EventLog } from './events/log.ts';
import { trustedProxies } from './http/authority.ts';
import { routes } from './http/routes/index.ts';
import { type Listening, listen, makeApplication, stopListening } from './http/server.ts';
import { ImagePlane } from './images/plane.ts';
import { type Log, makeLog } from './log.ts';
import { Boots } from './machines/boots.ts';
import { Machines } from './machines/machines.ts';
import { sqliteMachines } from './machines/store.ts';
import { Tickets } from './machines/tickets.ts';
import type { Services } from './services.ts';
import { openDatabase } from './store/database.ts';
import { version } from './version.ts';

/** Something that runs beside HTTP: DHCP, TFTP, a queue of jobs, a timer. */
export interface Part {
  readonly name: string;
  /** Ends it; answers when nothing of it runs any more. */
  readonly close: () => Promise<void> | void;
}
/** Starts a part. `listening` is what HTTP is reached by. */
export type PartStarter = (
  services: Services,
  listening: readonly Listening[],
) => Promise<Part | null> | Part | null;

/** What is started after HTTP, in this order, and closed in the opposite one. */
const parts: readonly PartStarter[] = [dhcpPart];

export interface ApplianceOptions {
  readonly config: Config;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  /** Takes each line of the log. */
  readonly write?: (line: string) => void;
}

export interface Appliance {
  readonly services: Services;
  readonly listening: readonly Listening[];
  /** Address of the first listener, as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** The password that was made at the first start, null when there was one. */
  readonly firstPassword: string | null;
  readonly close: () => Promise<void>;
}

/** Milliseconds that running requests have at the end. */
const patience = 5_000;

/** Starts everything. What fails to start takes down what had started. */
export async function startAppliance(options: ApplianceOptions): Promise<Appliance> {
  const { config, clock = Date.now } = options;
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const log = makeLog({ format: config.logFormat, level: config.logLevel, write, clock });
  const closers: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const end of closers.splice(0).reverse()) {
      await Promise.resolve(end()).catch((error: unknown) =>
        log.error('closing', { problem: String(error) }),
      );
    }
  };
  try {
    const services = makeServices(config, log, clock);
    closers.push(() => services.database.close());
    const firstPassword = await services.access.prepare();
    await services.images.start();
    closers.push(() => services.images.close());
    const { app } = await makeApplication(services, routes);
    closers.push(() => app.close());
    const listening: Listening[] = [];
    closers.push(() => stopListening(listening, patience));
    for (const options of listenersOf(config)) listening.push(await listen(app, options));
    for (const start of parts) {
      const part = await start(services, listening);
      if (part) closers.push(part.close);
    }
    const [first] = listening;
    if (!first) throw failure('INTERNAL', { problem: 'nothing listens' });
    const host = first.address.includes(':') ? `[${first.address}]` : first.address;
    const url = `${first.secure ? 'https' : 'http'}://${host}:${first.port}`;
    return { services, listening, url, firstPassword, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function makeServices(config: Config, log: Log, clock: () => number): Services {
  const database = openDatabase(config.stateDir);
  const hub = new Hub();
  const events = new EventLog(database, hub, clock);
  const needs = { database, store: sqliteMachines(database), events, hub, config, clock };
  const machines = new Machines(needs);
  const tickets = new Tickets(database, {
    lifetime: config.ticketSeconds * 1000,
    bindsAddress: config.ticketAddress,
  });
  const images = new ImagePlane({ database, events, hub, config, log, clock });
  return {
    config,
    version,
    log,
    clock,
    database,
    hub,
    events,
    access: new Access(database, events, config, clock),
    proxies: trustedProxies(config.trustedProxy),
    machines,
    boots: new Boots(needs, machines, tickets, images),
    images,
    builtinBootFile: async () => null,
    live: new LiveSystems(config.bootDir),
    fingerprint: () => null,
    readiness: [],
  };
}

function listenersOf(config: Config) {
  return [{ host: config.webHost, port: config.webPort, plane: 'all', tls: null }] as const;
}
