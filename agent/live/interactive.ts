/** A person in front of a machine of the live system: the terminal program, with the appliance's images and its ear. */
import { setTimeout as pause } from 'node:timers/promises';
import { checkMessage, Plan, type Status, type Step } from '../../shared/contract/agent.ts';
import { asFailure, type Failure, type FailureReport } from '../../shared/failure.ts';
import type { FlashState } from '../../shared/flash/advance.ts';
import { type Follower, Session } from '../tui/session.ts';
import type { DiskRow, ImageRow } from '../tui/state.ts';
import { version } from '../version.ts';
import type { Appliance } from './appliance.ts';
import { finish } from './finish.ts';
import { localDisks } from './inventory.ts';
import type { Machine } from './machine.ts';
import { failureMessage } from './report.ts';
import { Reporter } from './reporter.ts';

export type InteractivePlan = Extract<Plan, { readonly kind: 'interactive' }>;

export interface InteractiveOptions {
  readonly machine: Machine;
  readonly appliance: Appliance;
  readonly mac: string;
  readonly allowLoop: boolean;
  readonly plan: InteractivePlan;
  readonly signal: AbortSignal;
}

/** A message to the appliance at least this often, in seconds, while a disk is written. */
const heartbeatSeconds = 10;
/** Milliseconds for which the end of a flash is told to an appliance that does not hear; a person waits for it. */
const statusPatience = 60_000;

/**
 * Shows the screen on every console until the machine is to go down (resolves how) or the plan is another one
 * (resolves null, at once where there is no console to type on).
 */
export async function interact(options: InteractiveOptions): Promise<'reboot' | 'poweroff' | null> {
  const { machine, appliance, plan, allowLoop, signal } = options;
  const terminals = machine.screen.terminals();
  if (terminals.length === 0) return null;
  const other = new AbortController();
  const over = AbortSignal.any([signal, other.signal]);
  const follower = new Telling(options, over);
  const session = new Session({
    terminals,
    setting: {
      version,
      readOnly: null,
      live: true,
      folder: '/var/lib/bty/images',
      title: plan.title ?? options.mac,
    },
    source: { kind: 'server', address: appliance.server, shown: appliance.server },
    allowLoop,
    follower,
    leave: async () => {},
    signal: over,
  });
  machine.screen.divert((text, isProblem) => {
    session.tell({
      kind: 'message',
      message: { text, tone: isProblem ? 'bad' : 'plain', sticky: isProblem },
    });
  });
  const giveBack = () => session.stopNow();
  process.on('exit', giveBack);
  const watching = watch(options, session, follower, over).then(
    () => other.abort(),
    // The token is spent, or the appliance answers nonsense: the agent asks once more and says so.
    () => other.abort(),
  );
  try {
    const ending = await session.run();
    signal.throwIfAborted();
    if (ending.kind !== 'left') return null;
    return ending.how === 'reboot' ? 'reboot' : 'poweroff';
  } finally {
    other.abort();
    await watching;
    process.off('exit', giveBack);
    machine.screen.divert(null);
    if (follower.withdrawn !== null)
      machine.screen.alarm(follower.withdrawn.message, follower.withdrawn.advice);
  }
}

/** Resolves when the appliance has another plan for this machine. While a disk is written its progress is the question. */
async function watch(
  { appliance, mac, plan }: InteractiveOptions,
  session: Session,
  follower: Telling,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await pause(Math.max(1, plan.poll_seconds) * 1000, undefined, { signal });
    if (session.flashing) continue;
    if (follower.withdrawn !== null) return;
    const next = await appliance.get(`/pxe/${mac}/plan`, (value) => checkMessage(Plan, value), { signal });
    if (session.flashing) continue;
    // After a flash the appliance wants the machine to boot its disk; the person says when.
    if (next.kind === 'exit' && follower.done) continue;
    if (next.kind !== 'interactive' || next.id !== plan.id) return;
  }
}

/** Tells the appliance of flashes as those of its own plans are told. */
class Telling implements Follower {
  /** A flash was done, and the appliance was told. */
  done = false;
  /** The appliance has another plan. */
  withdrawn: Failure | null = null;
  readonly #options: InteractiveOptions;
  readonly #signal: AbortSignal;
  #attempt = 0;
  #current: { readonly image: ImageRow; readonly disk: DiskRow; readonly reporter: Reporter } | null = null;
  #step: Step = 'preparing';

  constructor(options: InteractiveOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  began(image: ImageRow, disk: DiskRow, stop: (reason: unknown) => void): void {
    const { appliance, mac, plan } = this.#options;
    this.#attempt = Math.min(1000, this.#attempt + 1);
    this.#step = 'preparing';
    const reporter = new Reporter({
      appliance,
      path: `/pxe/${mac}/progress`,
      plan: plan.id,
      attempt: this.#attempt,
      heartbeatSeconds,
      onRefusal: (found) => {
        if (found.code === 'PLAN_WITHDRAWN') this.withdrawn = found;
        stop(found);
      },
    });
    this.#current = { image, disk, reporter };
    this.#tell(0, null, null);
  }

  moved({ targets }: FlashState): void {
    const [target] = targets;
    if (!target || target.phase === 'waiting' || target.phase === 'finished') return;
    this.#step = target.phase;
    this.#tell(target.bytes, target.total, target.rate);
  }

  async ended(
    state: FlashState,
    failure: FailureReport | null,
    tell: (text: string) => void,
  ): Promise<readonly string[]> {
    const current = this.#current;
    if (current === null) return [];
    try {
      if (state.outcome === 'done' && failure === null)
        return await this.#finished(state, current.image, tell);
      const found = failure ?? state.targets[0]?.result?.failure ?? null;
      await current.reporter.close();
      if (this.withdrawn !== null || found === null) return [];
      tell('Telling the appliance ...');
      return await this.#status({
        status: 'failed',
        plan: this.#options.plan.id,
        attempt: this.#attempt,
        step: this.#step,
        failure: failureMessage(found),
        again_in: null,
      });
    } finally {
      await current.reporter.close();
      this.#current = null;
    }
  }

  async #finished(
    state: FlashState,
    image: ImageRow,
    tell: (text: string) => void,
  ): Promise<readonly string[]> {
    const [target] = state.targets;
    const current = this.#current;
    if (!target?.result || !current) return [];
    tell('Fitting the partition table to the disk ...');
    this.#step = 'finishing';
    this.#tell(target.bytes, target.total, null);
    const began = performance.now();
    const notices = await this.#fit(target.target, image.name);
    await current.reporter.close();
    tell('Telling the appliance ...');
    const { account, verified, seconds } = target.result;
    const told = await this.#done(state.sha256, {
      image_bytes: account.written + account.zeroed + account.skipped,
      verified,
      disk: { path: target.target, serial: current.disk.serial, size_bytes: target.size },
      seconds: { ...seconds, finishing: (performance.now() - began) / 1000 },
      notices: notices.slice(0, 64).map((notice) => notice.slice(0, 1000)),
    });
    this.done = true;
    return [...notices, ...told];
  }

  async #fit(path: string, title: string): Promise<readonly string[]> {
    const { allowLoop } = this.#options;
    const disk = (await localDisks({ loops: allowLoop, signal: this.#signal })).find(
      (each) => each.path === path,
    );
    if (!disk) return ['The partition table was not fitted to the disk: it is gone.'];
    return finish({ disk, allowLoop, grow: false, bootEntry: { kind: 'none' }, title, signal: this.#signal });
  }

  /** The digest of the image is its identity; without one only the old word of the contract can be said. */
  #done(
    sha256: string | null,
    told: Omit<
      Extract<Status, { readonly status: 'done' }>,
      'status' | 'plan' | 'attempt' | 'image_sha256' | 'after'
    >,
  ): Promise<readonly string[]> {
    const { mac, plan } = this.#options;
    if (sha256 === null) return this.#post(`/pxe/${mac}/done`, {});
    return this.#status({
      status: 'done',
      plan: plan.id,
      attempt: this.#attempt,
      image_sha256: sha256,
      after: 'reboot',
      ...told,
    });
  }

  #status(status: Status): Promise<readonly string[]> {
    return this.#post(`/pxe/${this.#options.mac}/status`, status);
  }

  async #post(path: string, message: unknown): Promise<readonly string[]> {
    const patience = { signal: this.#signal, forMilliseconds: statusPatience };
    try {
      await this.#options.appliance.post(path, message, patience);
      return [];
    } catch (error) {
      return [`The appliance did not take the result: ${asFailure(error).message}`];
    }
  }

  #tell(bytes: number, total: number | null, rate: number | null): void {
    const current = this.#current;
    if (!current) return;
    const { path, serial } = current.disk;
    current.reporter.tell({ step: this.#step, bytes, total, rate, disk: { path, serial } });
  }
}
