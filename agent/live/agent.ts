/**
 * The agent's life: inventory, plan, deed, report, again. What comes after the first question is loaded after it: a slow
 * machine takes seconds for it.
 */
import { setTimeout as pause } from 'node:timers/promises';
import {
  type After,
  checkMessage,
  type FlashPlanMessage,
  type Inventory,
  Plan,
  type Status,
  type Step,
} from '../../shared/contract/agent.ts';
import { asFailure, type Failure, type FailureCode, failure } from '../../shared/failure.ts';
import type { FlashState } from '../../shared/flash/advance.ts';
import type { Appliance } from './appliance.ts';
import { diskText, ruleText } from './choose.ts';
import type { InteractivePlan } from './interactive.ts';
import type { LocalDisk } from './inventory.ts';
import type { Machine } from './machine.ts';
import { failureMessage } from './report.ts';
import { Reporter } from './reporter.ts';

export interface AgentOptions {
  readonly appliance: Appliance;
  readonly mac: string;
  readonly bootedFrom: string | null;
  readonly machine: Machine;
  readonly allowLoop: boolean;
  /** Whether a failure ends in a shell. */
  readonly shell: boolean;
  /** How often the agent ended in this boot before it was started again, and with which code the last time. */
  readonly ends?: { readonly times: number; readonly code: number };
  /** What has to be before anything is asked, as trust in the appliance. */
  readonly ready?: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** What a plan came to. `again` asks for a plan after so many seconds; `ended` leaves the agent. */
type Turn =
  | { readonly kind: 'again'; readonly seconds: number; readonly failed: boolean }
  | { readonly kind: 'ended'; readonly failed: boolean };

/** Seconds between looks for a new plan after one that failed. */
const afterFailure = 30;
/** Seconds that a plan's pauses are at least: none spins, whatever the plan says. */
const shortestPause = 0.1;
/** Milliseconds: the appliance has said within this time that the plan is still the one, or the disk is not touched. */
const justNow = 1500;
/** Milliseconds without that word after which a person is told what is waited for. */
const tellsWaiting = 2000;

/** Failures that another try may mend; the others stay what they are until a person did something. */
const mendable: ReadonlySet<FailureCode> = new Set<FailureCode>([
  ...(['APPLIANCE_UNREACHABLE', 'SOURCE_UNREACHABLE', 'SOURCE_HTTP_STATUS', 'SOURCE_DROPPED'] as const),
  ...(['SOURCE_LENGTH', 'SOURCE_CHANGED', 'IMAGE_CORRUPT', 'IMAGE_TRUNCATED'] as const),
  ...(['TARGET_BUSY', 'TARGET_CHANGED', 'DISK_STALLED', 'TOOL_FAILED', 'INTERNAL'] as const),
]);

/** Runs until a plan ends the agent; true when all that was planned was done. */
export async function runAgent(options: AgentOptions): Promise<boolean> {
  const agent = new Agent(options);
  return agent.run();
}

class Agent {
  readonly #options: AgentOptions;
  readonly #path: (what: string) => string;
  /** The plan that failed last: it is not tried again by itself. */
  #failedPlan: string | null = null;
  /** The plan that was withdrawn last. */
  #withdrawnPlan: string | null = null;
  #shown: string | null = null;
  #ends: AgentOptions['ends'];

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#ends = options.ends;
    this.#path = (what) => `/pxe/${options.mac}/${what}`;
  }

  async run(): Promise<boolean> {
    const { signal } = this.#options;
    // The inventory waits for drivers and the plan for the network, so neither waits for the other.
    const inventory = this.#inventory();
    inventory.catch(() => {});
    await this.#options.ready?.();
    for (;;) {
      const plan = await this.#plan();
      const turn = await this.#follow(plan, inventory);
      if (turn.kind === 'ended') return !turn.failed;
      await pause(turn.seconds * 1000, undefined, { signal });
    }
  }

  async #inventory(): Promise<Inventory> {
    const { machine, signal, allowLoop, bootedFrom, mac } = this.#options;
    await machine.devicesReady(signal);
    const { takeInventory } = await import('./inventory.ts');
    const found = await takeInventory({ loops: allowLoop, booted: bootedFrom ?? mac, signal });
    const name = [found.dmi.vendor, found.dmi.product, found.dmi.serial].filter(Boolean).join(' ');
    // Said before any plan: what is missing may be what the network needs.
    machine.screen.say(
      `${name || 'Unnamed machine'}, ${found.firmware.kind.toUpperCase()}, ${found.cpu.threads} CPUs, ` +
        `${Math.round(found.memory_bytes / 1e6)} MB of memory, ${found.disks.length} disks`,
      ...found.problems,
    );
    return found;
  }

  async #plan(): Promise<Plan> {
    const { appliance, signal } = this.#options;
    return appliance.get(this.#path('plan'), (value) => checkMessage(Plan, value), { signal });
  }

  async #follow(plan: Plan, inventory: Promise<Inventory>): Promise<Turn> {
    const { machine, appliance, signal } = this.#options;
    const { screen } = machine;
    if (this.#shown !== plan.id) {
      this.#shown = plan.id;
      if (plan.title) screen.say(`This machine: ${plan.title}`);
    }
    switch (plan.kind) {
      case 'flash':
        if (plan.id === this.#failedPlan) return { kind: 'again', seconds: afterFailure, failed: true };
        void this.#postInventory(inventory, signal).catch(() => {});
        return this.#flash(plan);
      case 'inventory':
        await this.#postInventory(inventory, signal);
        screen.say('The appliance knows this machine now.');
        return this.#leave(plan.after, false);
      case 'exit':
        screen.say(plan.reason ?? 'There is nothing to do here.');
        return this.#leave(plan.after, false);
      case 'interactive':
        await this.#postInventory(inventory, signal);
        screen.say(`Waiting for a plan from ${appliance.server} (asked every ${plan.poll_seconds} s).`);
        return this.#interact(plan);
    }
  }

  /** A person at the machine picks image and disk; without one it is asked again and again for another plan. */
  async #interact(plan: InteractivePlan): Promise<Turn> {
    const { machine, appliance, mac, allowLoop, signal } = this.#options;
    const options = { machine, appliance, mac, allowLoop, signal, plan };
    const { interact } = await import('./interactive.ts');
    const left = await interact(options);
    if (left !== null) return this.#leave(left, false);
    return { kind: 'again', seconds: Math.max(1, plan.poll_seconds), failed: false };
  }

  #posted = false;

  /** Tells the appliance what this machine is, once. */
  async #postInventory(inventory: Promise<Inventory>, signal: AbortSignal): Promise<void> {
    if (this.#posted) return;
    this.#posted = true;
    await this.#options.appliance.post(this.#path('inventory'), await inventory, { signal });
  }

  async #flash(plan: FlashPlanMessage): Promise<Turn> {
    const { signal, machine } = this.#options;
    const { attempts, first_seconds, most_seconds } = plan.retry;
    const ends = this.#ends;
    this.#ends = undefined;
    if (ends && ends.times >= attempts) return this.#givenUp(plan, attempts, ends);
    // A try that ended with the agent is one of those that the plan allows.
    for (let attempt = 1 + (ends?.times ?? 0); ; attempt++) {
      const tried = await this.#attempt(plan, attempt);
      if (tried.kind === 'done') return this.#leave(tried.after, false);
      const { failed } = tried;
      if (failed.code === 'PLAN_WITHDRAWN') {
        machine.screen.alarm(failed.message, failed.advice);
        // An appliance that withdraws what it then plans again is not asked in a circle.
        const seconds = plan.id === this.#withdrawnPlan ? afterFailure : 1;
        this.#withdrawnPlan = plan.id;
        return { kind: 'again', seconds, failed: true };
      }
      const isLast = attempt >= attempts || !mendable.has(failed.code);
      const wanted = Math.min(most_seconds, first_seconds * 2 ** (attempt - 1));
      const seconds = isLast ? null : Math.max(shortestPause, wanted);
      machine.screen.alarm(failed.message, failed.advice);
      if (seconds !== null) machine.screen.say(`Try ${attempt + 1} of ${attempts} in ${seconds} seconds.`);
      await this.#status({
        status: 'failed',
        plan: plan.id,
        attempt,
        step: tried.step,
        failure: failureMessage(failed.report()),
        again_in: seconds,
      });
      if (seconds === null) return this.#rests(plan);
      await pause(seconds * 1000, undefined, { signal });
    }
  }

  /** The plan failed for good: a person decides. */
  async #rests(plan: FlashPlanMessage): Promise<Turn> {
    this.#failedPlan = plan.id;
    if (!this.#options.shell) return { kind: 'again', seconds: afterFailure, failed: true };
    await this.#options.machine.leave('shell');
    return { kind: 'ended', failed: true };
  }

  /** The agent ended as often as the plan allows tries, and could not tell why. */
  async #givenUp(
    plan: FlashPlanMessage,
    attempt: number,
    ends: NonNullable<AgentOptions['ends']>,
  ): Promise<Turn> {
    const failed = failure('AGENT_ENDED', { times: ends.times, code: ends.code });
    this.#options.machine.screen.alarm(failed.message, failed.advice);
    await this.#status({
      ...{ status: 'failed', plan: plan.id, attempt, step: 'preparing', again_in: null },
      failure: failureMessage(failed.report()),
    });
    return this.#rests(plan);
  }

  async #attempt(
    plan: FlashPlanMessage,
    attempt: number,
  ): Promise<
    | { readonly kind: 'done'; readonly after: After }
    | { readonly kind: 'failed'; readonly step: Step; readonly failed: Failure }
  > {
    const { appliance, machine, allowLoop, signal } = this.#options;
    const { screen } = machine;
    const refused = new AbortController();
    const together = AbortSignal.any([signal, refused.signal]);
    const reporter = new Reporter({
      appliance,
      path: this.#path('progress'),
      plan: plan.id,
      attempt,
      heartbeatSeconds: Math.max(1, plan.heartbeat_seconds),
      onRefusal: (found) => refused.abort(found),
    });
    let step: Step = 'preparing';
    try {
      screen.say(`Plan: write ${plan.image.name} onto ${ruleText(plan.disk)}.`);
      const [{ awaitDisk }, { runJob }, { finish }] = await Promise.all([
        import('./disks.ts'),
        import('./job.ts'),
        import('./finish.ts'),
      ]);
      const disk = await awaitDisk({ rule: plan.disk, machine, loops: allowLoop, signal: together });
      const named = { path: disk.path, serial: disk.serial };
      reporter.tell({ step, bytes: 0, total: null, rate: null, disk: named });
      await this.#confirmed(reporter, together);
      screen.say(`Disk: ${diskText(disk)}. Everything on it is lost.`);
      const result = await runJob({
        plan,
        server: appliance.server,
        disk,
        allowLoop,
        signal: together,
        onNotice: (text) => screen.say(text),
        onState: (now, state) => {
          step = now;
          this.#show(now, state, reporter, named);
        },
      });
      if (result.kind === 'failed') return { kind: 'failed', step: result.step, failed: result.failure };
      step = 'finishing';
      reporter.tell({ step, bytes: result.imageBytes, total: result.imageBytes, rate: null, disk: named });
      const began = performance.now();
      const notices = [
        ...(await finish({
          disk,
          allowLoop,
          grow: plan.grow,
          bootEntry: plan.boot_entry,
          title: plan.image.name,
          signal: together,
        })),
      ];
      const after = await this.#following(plan, disk, notices, together);
      for (const notice of notices) screen.say(notice);
      // No progress may arrive after the final word.
      await reporter.close();
      const seconds = { ...result.seconds, finishing: (performance.now() - began) / 1000 };
      this.#summary(plan, disk, result.imageBytes, result.verified, seconds);
      await this.#status({
        status: 'done',
        plan: plan.id,
        attempt,
        image_sha256: result.sha256,
        image_bytes: result.imageBytes,
        verified: result.verified,
        disk: { path: disk.path, serial: disk.serial, size_bytes: disk.size_bytes },
        seconds: rounded(seconds),
        after,
        notices: notices.slice(0, 64).map((notice) => notice.slice(0, 1000)),
      });
      return { kind: 'done', after };
    } catch (error) {
      signal.throwIfAborted();
      return {
        kind: 'failed',
        step,
        failed: asFailure(refused.signal.aborted ? refused.signal.reason : error),
      };
    } finally {
      await reporter.close();
    }
  }

  /** Drivers, disks and pauses take minutes, in which an operator may have decided otherwise. */
  async #confirmed(reporter: Reporter, signal: AbortSignal): Promise<void> {
    const text =
      'Waiting for the word of the appliance that the plan is still the one; nothing is written before.';
    const timer = setTimeout(() => this.#options.machine.screen.say(text), tellsWaiting);
    try {
      await reporter.heard(justNow, signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What follows: what the plan says, but no kernel is started that could not be loaded. */
  async #following(
    { after }: FlashPlanMessage,
    disk: LocalDisk,
    notices: string[],
    signal: AbortSignal,
  ): Promise<After> {
    if (after !== 'kexec') return after;
    const problem = await this.#options.machine.loadKernel(disk.path, signal);
    if (problem === null) return 'kexec';
    notices.push(`The kernel of the disk could not be started directly, so the machine reboots: ${problem}.`);
    return 'reboot';
  }

  #show(
    step: Step,
    state: FlashState,
    reporter: Reporter,
    disk: { readonly path: string; readonly serial: string | null },
  ): void {
    const target = state.targets[0];
    if (!target) return;
    const { bytes, total, rate } = target;
    reporter.tell({ step, bytes, total, rate, disk });
    this.#options.machine.screen.progress(stepName(step), bytes, total, rate);
  }

  #summary(
    plan: FlashPlanMessage,
    disk: LocalDisk,
    bytes: number,
    verified: boolean,
    seconds: Readonly<Record<string, number>>,
  ): void {
    const total = Object.values(seconds).reduce((sum, each) => sum + each, 0);
    const how = verified ? 'read back and verified' : 'not verified';
    this.#options.machine.screen.say(
      `Done: ${plan.image.name} is on ${disk.path}, ${(bytes / 1e6).toFixed(1)} MB in ${total.toFixed(1)} s, ${how}.`,
    );
  }

  /** Tells the end of a try until it is heard. What the appliance does not want to hear is not repeated. */
  async #status(status: Status): Promise<void> {
    const { appliance, machine, signal } = this.#options;
    try {
      await appliance.post(this.#path('status'), status, { signal });
    } catch (error) {
      signal.throwIfAborted();
      machine.screen.say(`The appliance did not take the result: ${asFailure(error).message}`);
    }
  }

  async #leave(after: After, failed: boolean): Promise<Turn> {
    const { machine } = this.#options;
    const words = {
      reboot: 'Rebooting.',
      poweroff: 'Switching off.',
      kexec: 'Starting the kernel of the disk.',
    };
    machine.screen.say(words[after]);
    await machine.leave(after);
    return { kind: 'ended', failed };
  }
}

const rounded = (seconds: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(seconds).map(([name, value]) => [name, Math.round(value * 1000) / 1000]));

function stepName(step: Step): string {
  const names: Readonly<Record<Step, string>> = {
    preparing: 'Preparing',
    clearing: 'Clearing',
    writing: 'Writing',
    flushing: 'Flushing',
    verifying: 'Verifying',
    settling: 'Settling',
    finishing: 'Finishing',
  };
  return names[step];
}
