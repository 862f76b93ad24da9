/** TFTP as a part of the appliance: on every interface where DHCP answers, following its settings while it runs. */
import { readFileSync } from 'node:fs';
import type { TftpState } from '../../shared/contract/dhcp.ts';
import { asFailure, type Failure } from '../../shared/failure.ts';
import type { Part } from '../appliance.ts';
import { isTftpScript } from '../boot/files.ts';
import { bootFilesOf } from '../boot/part.ts';
import { formatAddress, formatBlock, holds, parseAddress, parseBlock } from '../dhcp/address.ts';
import { adopt } from '../dhcp/link.ts';
import { dhcpOf } from '../dhcp/part.ts';
import { networks } from '../dhcp/server.ts';
import type { Listening } from '../http/server.ts';
import type { Services } from '../services.ts';
import { macOfAddress } from '../story/addresses.ts';
import type { Who } from '../story/step.ts';
import { handedSockets } from '../system/handed.ts';
import { witnessOf } from '../witness.ts';
import type { TftpFile } from './file.ts';
import { type OpenSocket, TftpServer } from './server.ts';
import { socketsOn } from './socket.ts';

/** How often the interfaces are looked at, in milliseconds. */
const looking = 500;
/** What of an MTU is left for a block: IP and UDP headers and TFTP's own. */
const headers = 32;
const usualMtu = 1500;
const limits = { windowSize: 64, windowBytes: 128 << 10 };

const sound = { problem: null, code: null, advice: null, details: {} } as const;
const none = {
  ...{ running: 0, done: 0, probes: 0, failed: 0, refused: 0 },
  ...{ busy: 0, foreign: 0, malformed: 0, bytes: 0 },
} as const;

interface Place {
  readonly key: string;
  readonly device: string;
  readonly address: string;
  readonly allowed: (address: string) => boolean;
}

function mtuOf(device: string): number {
  try {
    const mtu = Number(readFileSync(`/sys/class/net/${device}/mtu`, 'utf8'));
    return mtu >= 576 ? mtu : usualMtu;
  } catch {
    return usualMtu;
  }
}

/** Port on which machines reach HTTP: the boot listener, else the first without TLS. */
function bootPortOf(listening: readonly Listening[]): number {
  const found = listening.find(({ plane }) => plane === 'boot') ?? listening.find(({ secure }) => !secure);
  return found?.port ?? 80;
}

export class Tftp implements Part {
  readonly name = 'tftp';
  readonly #services: Services;
  readonly #port: number;
  readonly #servers = new Map<string, { readonly device: string; readonly server: TftpServer }>();
  readonly #problems = new Map<string, { readonly place: Place; readonly failure: Failure }>();
  readonly #timer: NodeJS.Timeout;
  readonly #handed = new Map(handedSockets(process.env, process.pid));
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(services: Services, listening: readonly Listening[]) {
    this.#services = services;
    this.#port = bootPortOf(listening);
    services.readiness.push(() => {
      const reason = [...this.#problems.values()][0]?.failure.message ?? null;
      return { name: 'tftp', ok: reason === null, reason };
    });
    this.#timer = setInterval(() => this.look(), looking).unref();
  }

  /** Where it serves, with its counts, and where it can not. */
  states(): readonly TftpState[] {
    const serving = [...this.#servers.values()].map(({ device, server }) => {
      const { address, port } = server.local;
      return { interface: device, address, port, ...sound, ...server.counts() };
    });
    const broken = [...this.#problems.values()].map(
      ({ place, failure: { message, code, advice, details } }) => {
        const { device, address } = place;
        return { interface: device, address, port: null, problem: message, code, advice, details, ...none };
      },
    );
    return [...serving, ...broken];
  }

  /** Opens and closes servers until they are those that the settings of now ask for. */
  look(): Promise<void> {
    this.#turn = this.#turn
      .then(() => this.#follow())
      .catch((error: unknown) => {
        this.#services.log.error('tftp', { problem: String(error) });
      });
    return this.#turn;
  }

  async #follow(): Promise<void> {
    if (this.#closed) return;
    const wanted = this.#wanted();
    const before = this.#places();
    for (const [key, { server }] of this.#servers) {
      if (wanted.has(key)) continue;
      this.#servers.delete(key);
      await server.close();
    }
    for (const key of this.#problems.keys()) if (!wanted.has(key)) this.#problems.delete(key);
    for (const place of wanted.values()) if (!this.#servers.has(place.key)) await this.#open(place);
    if (this.#places() === before) return;
    this.#services.hub.publish({ kind: 'notice', key: 'tftp', value: { about: 'tftp' } });
  }

  /** Where it serves and where it can not, to compare. */
  #places(): string {
    return JSON.stringify([[...this.#servers.keys()], [...this.#problems.keys()]]);
  }

  #wanted(): ReadonlyMap<string, Place> {
    const places = new Map<string, Place>();
    const known = networks();
    const { interfaces } = dhcpOf(this.#services).server.current;
    for (const { interface: device, mode, relays = [], subnets = [] } of interfaces) {
      const network = mode === 'off' ? undefined : known.get(device);
      // Machines behind a relay are as local as the relay's networks, which the operator named.
      const more = relays.length > 0 ? subnets.map(({ network }) => network) : [];
      for (const { address, block } of network?.addresses ?? []) {
        const blocks = [block, ...more.flatMap((text) => blockOfText(text))];
        const key = `${device} ${network?.index} ${formatAddress(address)} ${blocks.map(formatBlock).join(' ')}`;
        const allowed = (from: string) => {
          const parsed = parseAddress(from);
          return parsed !== null && blocks.some((one) => holds(one, parsed));
        };
        places.set(key, { key, device, address: formatAddress(address), allowed });
      }
    }
    return places;
  }

  async #open(place: Place): Promise<void> {
    const { key, device, address, allowed } = place;
    const { config, log, clock } = this.#services;
    try {
      const server = await TftpServer.listen({
        address,
        port: config.tftpPort,
        find: (name, who) => this.#find(name, who, address),
        witness: witnessOf(this.#services),
        macOf: (from) => macOfAddress(this.#services, from),
        allowed,
        limits: { ...limits, blockSize: mtuOf(device) - headers },
        singlePort: config.tftpSinglePort,
        clock,
        open: this.#socketsOn(device),
      });
      this.#servers.set(key, { device, server });
      this.#problems.delete(key);
      log.info('tftp', { interface: device, address, port: server.local.port });
    } catch (error) {
      const failure = asFailure(error);
      const { message, code } = failure;
      if (!this.#problems.has(key)) log.error('tftp', { interface: device, code, problem: message });
      this.#problems.set(key, { place, failure });
    }
  }

  /** The listening socket is the one that systemd opened, where it did; it is taken once. */
  #socketsOn(device: string): OpenSocket {
    const opens = socketsOn(device);
    return async (address, port, segment) => {
      const name = `tftp-${device}`;
      const [given] = port === 0 ? [] : (this.#handed.get(name) ?? []);
      if (given === undefined) return opens(address, port, segment);
      this.#handed.delete(name);
      return { socket: await adopt(given), segment: false, descriptor: given };
    };
  }

  async #find(name: string, who: Who, address: string): Promise<TftpFile | null> {
    const { config, clock } = this.#services;
    const base = (config.publicUrl ?? `http://${address}:${this.#port}`).replace(/\/+$/, '');
    const file = await bootFilesOf(this.#services).open(name, base);
    if (file && isTftpScript(name)) {
      const reason = 'iPXE looked for a script beside its own file';
      const step = { kind: 'script', script: 'autoexec', action: 'bootstrap', reason } as const;
      witnessOf(this.#services).step({ at: clock(), ...who, ...step });
    }
    return file;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#turn;
    await Promise.all([...this.#servers.values()].map(({ server }) => server.close()));
    this.#servers.clear();
  }
}

function blockOfText(text: string) {
  const block = parseBlock(text);
  return block === null ? [] : [block];
}

const parts = new WeakMap<Services, Tftp>();

/** TFTP of this appliance; undefined when it is switched off. */
export function tftpOf(services: Services): Tftp | undefined {
  return parts.get(services);
}

export async function tftpPart(services: Services, listening: readonly Listening[]): Promise<Part | null> {
  if (!services.config.tftp) return null;
  const tftp = new Tftp(services, listening);
  parts.set(services, tftp);
  await tftp.look();
  return tftp;
}
