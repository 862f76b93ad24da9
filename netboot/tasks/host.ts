/** Reaching a machine: which address, is it the machine, is it the flashed system, does it let us in. */
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp, isIP } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { failure } from '../../shared/failure.ts';
import { isRunning } from '../../shared/machine/life.ts';
import type { MachineRecord } from '../machines/record.ts';
import { parseNeighbours } from '../story/addresses.ts';
import { backOff, type Candidate, candidatesOf, strangerIn } from './find.ts';
import type { LoadedKey } from './key.ts';
import { ConnectProblem, connect, fingerprint, type Remote } from './ssh.ts';
import type { HostKey } from './store.ts';

/** Milliseconds for TCP to answer, and for the name servers of the appliance. */
const probeMilliseconds = 3_000;
const nameMilliseconds = 5_000;

export interface HostNeeds {
  readonly mac: string;
  readonly machine: () => MachineRecord | null;
  /** Addresses that DHCP and the network tell, the newest first. */
  readonly addresses: (mac: string) => {
    readonly leased: readonly string[];
    readonly seen: readonly string[];
  };
  readonly hostKey: () => HostKey | null;
  readonly key: LoadedKey;
  readonly user: string;
  readonly port: number;
  /** `{hostname}.lab.example` */
  readonly nameForm: string | null;
  /** Asks whether it is the flashed system, and not another one. */
  readonly looksInside: boolean;
  /** Its boot has to be after its flash. */
  readonly afterFlash: boolean;
  /** Longest time in which logins may be refused, in milliseconds: what lets us in may come late in a first boot. */
  readonly loginPatience: number;
  readonly clock: () => number;
  readonly tell: (doing: string) => void;
}

export interface Reached {
  readonly remote: Remote;
  readonly address: string;
  readonly fingerprint: string;
}

type Tried =
  | { readonly kind: 'reached'; readonly reached: Reached }
  | {
      readonly kind: 'not';
      readonly reason: string /** It was there, and let us not in. */;
      readonly refused: boolean;
    };
const not = (reason: string, refused = false): Tried => ({ kind: 'not', reason, refused });

export class Host {
  readonly #needs: HostNeeds;
  #refusedSince: number | null = null;

  constructor(needs: HostNeeds) {
    this.#needs = needs;
  }

  /**
   * Waits until the machine is there, `seconds` at most. Failures: TASK_HOST_MISSING, TASK_LOGIN_REFUSED,
   * TASK_HOST_KEY_CHANGED; rejects with the signal's reason.
   */
  async wait(seconds: number, signal: AbortSignal): Promise<Reached> {
    const { mac, tell } = this.#needs;
    const end = performance.now() + seconds * 1000;
    let reason = 'it was not looked for';
    for (let tries = 0; ; tries++) {
      signal.throwIfAborted();
      const tried = await this.#try(signal);
      if (tried.kind === 'reached') return tried.reached;
      // One that went away, as in a first boot, has its time anew.
      if (!tried.refused) this.#refusedSince = null;
      if (tried.reason !== reason) tell(`Waits for the machine: ${tried.reason}.`);
      reason = tried.reason;
      const left = end - performance.now();
      if (left <= 0) throw failure('TASK_HOST_MISSING', { mac, seconds, tried: reason });
      // Machines of one rack come up together; they are not asked together.
      const delay = Math.min(left, backOff(tries) * (0.75 + Math.random() / 2));
      await pause(delay, undefined, { signal, ref: false }).catch(() => signal.throwIfAborted());
    }
  }

  /** Resolves once nothing answers on the port of SSH; false when that takes longer than `seconds`. */
  async waitDown(address: string, seconds: number, signal: AbortSignal): Promise<boolean> {
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      if (!(await answers(address, this.#needs.port, signal))) return true;
      await pause(Math.min(1000, seconds * 250), undefined, { signal, ref: false }).catch(() => {});
      signal.throwIfAborted();
    }
    return false;
  }

  async #try(signal: AbortSignal): Promise<Tried> {
    const record = this.#needs.machine();
    if (record === null) throw failure('TASK_CANCELLED', { reached: 'because the machine was forgotten' });
    if (isRunning(record.life.phase)) return not('the live system runs on it');
    const name = this.#nameOf(record);
    const candidates = await this.#candidates(record, name, signal);
    if (candidates.length === 0) {
      const asked = name === null ? '' : `, and the name ${name} has none`;
      return not(`no address of it is known yet${asked}`);
    }
    const { port } = this.#needs;
    const open = await Promise.all(candidates.map(({ address }) => answers(address, port, signal)));
    const neighbours = readNeighbours();
    const reasons: string[] = [];
    let refused = false;
    for (const [index, candidate] of candidates.entries()) {
      const { address, from } = candidate;
      const user = neighbours.get(address);
      // The operator's word, and the name server's, may mean another card of the machine.
      const foreign = user !== undefined && user !== record.mac && from !== 'label' && from !== 'name';
      if (foreign) reasons.push(`${address} is used by ${user}`);
      else if (open[index] !== true) reasons.push(`nothing answers on port ${port} of ${address}`);
      else {
        const tried = await this.#enter(record, candidate, signal);
        if (tried.kind === 'reached') return tried;
        reasons.push(tried.reason);
        refused ||= tried.refused;
      }
    }
    return not(reasons.join(', '), refused);
  }

  /** The name of `--task-host`, null where there is none. */
  #nameOf({ hostname }: MachineRecord): string | null {
    const { nameForm } = this.#needs;
    return nameForm === null || hostname === null ? null : nameForm.replaceAll('{hostname}', hostname);
  }

  async #candidates(
    record: MachineRecord,
    name: string | null,
    signal: AbortSignal,
  ): Promise<readonly Candidate[]> {
    const { mac, addresses } = this.#needs;
    const label = record.labels['task-address'] ?? null;
    const named = name === null ? [] : await resolved(name, signal);
    const said = label !== null && isIP(label) !== 0 ? label : null;
    return candidatesOf({ mac, said, ...addresses(mac), named, last: record.lastSeenIp });
  }

  async #enter(record: MachineRecord, { address }: Candidate, signal: AbortSignal): Promise<Tried> {
    const { key, user, port, clock, loginPatience } = this.#needs;
    const pinned = this.#needs.hostKey();
    const expected = pinned !== null && pinned.flashedAt === record.lastFlashedAt ? pinned.fingerprint : null;
    let found = '';
    const accepts = (hostKey: Buffer) => {
      found = fingerprint(hostKey);
      return expected === null || expected === found;
    };
    let remote: Remote;
    try {
      remote = await connect({ address, port, user, key: key.private, accepts, signal });
    } catch (error) {
      if (!(error instanceof ConnectProblem)) throw error;
      if (error.kind === 'host-key' && expected !== null)
        throw failure('TASK_HOST_KEY_CHANGED', { address, expected, found });
      if (error.kind === 'login') {
        this.#refusedSince ??= clock();
        if (clock() - this.#refusedSince >= loginPatience)
          throw failure('TASK_LOGIN_REFUSED', { address, user, fingerprint: key.fingerprint });
        return not(`${address} does not let ${user} in yet`, true);
      }
      return not(`${address} speaks no SSH that can be used (${error.message})`);
    }
    this.#refusedSince = null;
    const stranger = await this.#strangerIn(remote, record, signal);
    if (stranger === null) return { kind: 'reached', reached: { remote, address, fingerprint: found } };
    remote.close();
    return not(`${stranger} (${address})`);
  }

  async #strangerIn(remote: Remote, record: MachineRecord, signal: AbortSignal): Promise<string | null> {
    if (!this.#needs.looksInside) return null;
    const told = await remote.answer('cat /proc/uptime /proc/cmdline', signal);
    if (remote.isClosed) return 'the connection broke at once';
    if (told.kind === 'silent') return 'what answers does not say which system it is';
    // A system without /proc is none of ours, and cannot be asked.
    if (told.kind === 'failed') return null;
    const [uptime = '', ...rest] = told.text.split('\n');
    const flashed = this.#needs.afterFlash ? record.lastFlashedAt : null;
    const since = flashed === null ? null : (this.#needs.clock() - flashed) / 1000;
    return strangerIn({ uptime, commandLine: rest.join(' ') }, since);
  }
}

/** Addresses of a name. A question to name servers cannot be taken back: who stops waiting leaves it alone. */
async function resolved(name: string, signal: AbortSignal): Promise<readonly string[]> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(nameMilliseconds)]);
  const late = once(limit, 'abort').then(() => []);
  const found = await Promise.race([lookup(name, { all: true }).catch(() => []), late]);
  return found.map(({ address }) => address);
}

function answers(address: string, port: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const socket = connectTcp({ host: address, port });
    const end = (open: boolean) => {
      signal.removeEventListener('abort', stop);
      socket.destroy();
      resolve(open);
    };
    const stop = () => end(false);
    signal.addEventListener('abort', stop, { once: true });
    socket.setTimeout(probeMilliseconds, stop);
    socket.once('connect', () => end(true)).once('error', stop);
  });
}

function readNeighbours(): ReadonlyMap<string, string> {
  try {
    return parseNeighbours(readFileSync('/proc/net/arp', 'latin1'));
  } catch {
    return new Map();
  }
}
