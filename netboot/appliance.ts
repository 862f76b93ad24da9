/** The appliance: configuration -> store -> services -> servers, started and closed as one thing. */
import { join } from 'node:path';
import { failure } from '../shared/failure.ts';
import { Access } from './access/access.ts';
import { LiveSystems } from './boot/live.ts';
import { bootFilesOf, bootFilesPart } from './boot/part.ts';
import { Clock } from './clock.ts';
import type { Config } from './config/settings.ts';
import { dhcpPart } from './dhcp/part.ts';
import { Hub } from './events/hub.ts';
import { EventLog } from './events/log.ts';
import { trustedProxies } from './http/authority.ts';
import { type Certificate, namedCertificate, ownCertificate } from './http/certificate.ts';
import { routes } from './http/routes/index.ts';
import { type Listening, type ListenOptions, listen, makeApplication, stopListening } from './http/server.ts';
import { ImagePlane } from './images/plane.ts';
import { type Log, makeLog } from './log.ts';
import { Boots } from './machines/boots.ts';
import { Machines } from './machines/machines.ts';
import { sqliteMachines } from './machines/store.ts';
import { Tickets } from './machines/tickets.ts';
import { Metrics } from './metrics.ts';
import { sweepBackups } from './overview.ts';
import { coreReadiness } from './readiness.ts';
import { rolloutsPart } from './rollouts/part.ts';
import type { Services } from './services.ts';
import { openDatabase } from './store/database.ts';
import { holdState } from './store/lock.ts';
import { type Restored, restoreOrdered, takeBack } from './store/restoring.ts';
import { storyPart } from './story/part.ts';
import { tasksPart } from './tasks/part.ts';
import { Tasks } from './tasks/tasks.ts';
import { tftpPart } from './tftp/part.ts';
import { followClock, upkeepPart } from './upkeep.ts';
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
const parts: readonly PartStarter[] = [
  upkeepPart,
  bootFilesPart,
  storyPart,
  dhcpPart,
  tftpPart,
  tasksPart,
  rolloutsPart,
];

export interface ApplianceOptions {
  readonly config: Config;
  /** Milliseconds since 1970: a clock of tests, which never jumps. */
  readonly clock?: () => number;
  /** The system's clock. */
  readonly wall?: () => number;
  /** Takes each line of the log. */
  readonly write?: (line: string) => void;
  /** Called when it wishes to be closed and started anew, at most once. */
  readonly onStartAnew?: () => void;
}

export interface Appliance {
  readonly services: Services;
  readonly listening: readonly Listening[];
  /** Address of the first listener, as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** The password that was made at the first start, null when there was one. */
  readonly firstPassword: string | null;
  /** SHA-256 of the CA's certificate in hex, null without TLS. */
  readonly fingerprint: string | null;
  readonly close: () => Promise<void>;
}

/** Milliseconds that running requests have at the end. */
const patience = 5_000;

/**
 * Starts everything. What fails to start takes down what had started; a backup that was restored and does not start is
 * taken back.
 */
export function startAppliance(options: ApplianceOptions): Promise<Appliance> {
  return startWith(options, null);
}

/** `before`: what a start that failed had restored. */
async function startWith(options: ApplianceOptions, before: Restored | null): Promise<Appliance> {
  const { config } = options;
  const watched = new Clock(options.wall);
  const clock = options.clock ?? watched.now;
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const log = makeLog({ format: config.logFormat, level: config.logLevel, write, clock });
  const closers: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const end of closers.splice(0).reverse()) {
      try {
        await end();
      } catch (error) {
        log.error('closing', { problem: String(error) });
      }
    }
  };
  let restored = before;
  try {
    const ending = new AbortController();
    closers.push(holdState(config.stateDir));
    restored ??= restoreOrdered(config.stateDir, clock());
    sweepBackups(config.stateDir);
    const certificate = await certificateOf(config, clock);
    const services = makeServices(options, log, clock, ending.signal, certificate?.fingerprint ?? null);
    closers.push(() => services.database.close());
    if (restored !== null) await tellRestored(services, restored);
    const firstPassword = await services.access.prepare();
    await services.images.start();
    closers.push(() => services.images.close());
    const { app } = await makeApplication(services, routes);
    closers.push(() => app.close());
    const listening: Listening[] = [];
    closers.push(() => stopListening(listening, patience));
    for (const options of listenersOf(config, certificate)) listening.push(await listen(app, options));
    closers.push(() => ending.abort());
    for (const start of parts) {
      const part = await start(services, listening);
      if (part) closers.push(() => part.close());
    }
    if (options.clock === undefined) closers.push(followClock(services, watched));
    const [first] = listening;
    if (!first) throw failure('INTERNAL', { problem: 'nothing listens' });
    const host = first.address.includes(':') ? `[${first.address}]` : first.address;
    const url = `${first.secure ? 'https' : 'http'}://${host}:${first.port}`;
    return { services, listening, url, firstPassword, fingerprint: services.fingerprint(), close };
  } catch (error) {
    await close();
    if (!restored?.info) throw error;
    log.error('restore', { problem: String(error) });
    return startWith(options, takeBack(config.stateDir, restored, error));
  }
}

async function tellRestored({ events, log }: Services, restored: Restored): Promise<void> {
  const { order, info, failure: problem } = restored;
  const summary = problem === null ? 'A backup was restored.' : `Nothing was restored: ${problem.message}`;
  const kind = problem === null ? 'settings.restored' : 'settings.restore-failed';
  log[problem === null ? 'warn' : 'error']('restore', { summary });
  const details = problem === null ? { version: info?.version } : { code: problem.code };
  await events.record({ kind, subject: ['settings', 'restore'], ...order, summary, details });
}

function makeServices(
  { config, onStartAnew }: ApplianceOptions,
  log: Log,
  clock: () => number,
  ending: AbortSignal,
  fingerprint: string | null,
): Services {
  const database = openDatabase(config.stateDir);
  const hub = new Hub();
  const events = new EventLog(database, hub, clock);
  const loop = { boots: config.loopBoots, minutes: config.loopMinutes };
  const store = sqliteMachines(database, loop, clock);
  const needs = { database, store, events, hub, config, clock };
  const machines = new Machines(needs);
  const tasks = new Tasks({ database, machines, events, hub, config, log, clock });
  const tickets = new Tickets(database, {
    lifetime: config.ticketSeconds * 1000,
    bindsAddress: config.ticketAddress,
  });
  const live = new LiveSystems(config.bootDir);
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
    boots: new Boots(needs, machines, tickets, images, tasks),
    tasks,
    images,
    builtinBootFile: async (name) => bootFilesOf({ config, clock }).program(name),
    live,
    fingerprint: () => fingerprint,
    ending,
    startAnew: onceOnly(onStartAnew),
    metrics: makeMetrics(machines, hub),
    readiness: coreReadiness(config, database, live),
  };
}

function onceOnly(work: (() => void) | undefined): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    work?.();
  };
}

function makeMetrics(machines: Machines, hub: Hub): Metrics {
  const metrics = new Metrics();
  metrics.gauges('bty_machines', 'Machines by phase.', 'phase', () => machines.store.countByPhase());
  metrics.gauge('bty_listeners', 'Streams and parts that listen to news.', () => hub.listeners);
  return metrics;
}

async function certificateOf(config: Config, clock: () => number): Promise<Certificate | null> {
  const { tlsCert, tlsKey, tlsGenerated, stateDir } = config;
  if (tlsCert !== null && tlsKey !== null) return namedCertificate(tlsCert, tlsKey);
  if (tlsCert !== null || tlsKey !== null) {
    const [name, other] = tlsCert === null ? ['tls_key', 'tls_cert'] : ['tls_cert', 'tls_key'];
    throw failure('SETTING_INVALID', {
      name,
      origin: 'the settings',
      problem: `it needs ${other} beside it`,
    });
  }
  return tlsGenerated ? ownCertificate(join(stateDir, 'tls'), clock()) : null;
}

/** With TLS, plain HTTP serves machines only: iPXE and firmware know nothing of our CA. */
function listenersOf(config: Config, tls: Certificate | null): ListenOptions[] {
  const { webHost, webPort, tlsPort, bootHost, bootPort } = config;
  const web: ListenOptions[] = tls
    ? [
        { host: webHost, port: tlsPort, plane: 'all', tls },
        { host: webHost, port: webPort, plane: 'boot', tls: null },
      ]
    : [{ host: webHost, port: webPort, plane: 'all', tls: null }];
  return bootHost === null ? web : [...web, { host: bootHost, port: bootPort, plane: 'boot', tls: null }];
}
