/** One task on one machine: waits for it, does the steps in their order, stops at the first that fails. */
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { StepState, TaskState } from '../../shared/contract/task.ts';
import { type Failure, failure } from '../../shared/failure.ts';
import type { Task, TaskStep } from '../../shared/task/file.ts';
import { usesOf } from '../../shared/task/file.ts';
import { expanded, type TaskMachine, variableProblem } from '../../shared/task/variables.ts';
import type { MachineRecord } from '../machines/record.ts';
import type { Ended } from './command.ts';
import type { Host, Reached } from './host.ts';
import type { RunOutput } from './output.ts';
import type { Remote } from './ssh.ts';
import { messageOf } from './words.ts';

/** Why a run is ended from outside. */
export type Stop =
  | { readonly kind: 'cancel'; readonly because: string }
  | { readonly kind: 'closing' }
  | { readonly kind: 'step-time'; readonly seconds: number }
  | { readonly kind: 'total-time'; readonly seconds: number };

export interface RunNeeds {
  readonly task: Task;
  readonly machine: () => MachineRecord | null;
  readonly host: Host;
  readonly output: RunOutput;
  readonly folder: string;
  readonly filesDir: string;
  readonly waitSeconds: number;
  readonly stepSeconds: number;
  readonly totalSeconds: number;
  /** Largest file that is fetched. */
  readonly mostBytes: number;
  readonly verbatim: boolean;
  /** Waits until one more may run; resolves what ends that. */
  readonly slot: (signal: AbortSignal) => Promise<() => void>;
  /** The machine was met with this key. */
  readonly met: (reached: Reached) => Promise<TaskState['host_key']>;
  readonly update: (changes: Partial<TaskState>) => void;
  readonly clock: () => number;
  /** Aborted with a Stop. */
  readonly signal: AbortSignal;
}

/** Letters of a command: a system takes 128 KiB as one argument (execve(2), MAX_ARG_STRLEN). */
const mostCommand = 100_000;

/** What a stopped command said of its end. */
class Stopped extends Error {
  readonly how: string;
  constructor(how: string) {
    super(how);
    this.how = how;
  }
}

export class Run {
  readonly #needs: RunNeeds;
  readonly #steps: StepState[];
  #remote: Remote | null = null;
  #address = '';
  #at = -1;
  /** Exit code of the last command that ended. */
  #code: number | null = null;

  constructor(needs: RunNeeds) {
    this.#needs = needs;
    this.#steps = needs.task.steps.map((step) => ({
      name: step.name,
      uses: usesOf(step),
      status: 'pending',
      exit_code: null,
      started_at: null,
      duration: null,
      error: null,
    }));
  }

  /** Does it all. Rejects with a Failure that says why it did not come to its end. */
  async perform(): Promise<{ readonly code: number }> {
    const { host, slot, signal, update, output, totalSeconds } = this.#needs;
    update({ stage: 'waiting', doing: 'Waits for the machine.', steps: [...this.#steps] });
    let free: (() => void) | null = null;
    try {
      const reached = await this.#heeding(host.wait(this.#needs.waitSeconds, signal));
      await this.#enter(reached);
      update({ stage: 'queued', doing: 'Waits for other tasks.' });
      free = await this.#heeding(slot(signal));
      update({ stage: 'running', doing: null });
      const total = AbortSignal.timeout(Math.min(totalSeconds * 1000, 2 ** 31 - 1));
      for (const [index, step] of this.#needs.task.steps.entries()) await this.#step(index, step, total);
      await output.say(`All ${this.#steps.length} steps are done.\n`);
      return { code: 0 };
    } finally {
      free?.();
      this.#remote?.close();
    }
  }

  get code(): number | null {
    return this.#code;
  }

  /** Where it is, for a sentence. */
  get reached(): string {
    const step = this.#steps[this.#at];
    if (step === undefined) return 'before its first step, while it waited for the machine';
    return `in step ${this.#at + 1} of ${this.#steps.length}, "${step.name}"`;
  }

  async #step(index: number, step: TaskStep, total: AbortSignal): Promise<void> {
    const { clock, output, stepSeconds, totalSeconds, signal } = this.#needs;
    this.#at = index;
    this.#code = null;
    output.step = index;
    const began = clock();
    this.#set(index, { status: 'running', started_at: began / 1000 });
    await output.say(`--- ${step.name}\n`);
    const own = ownSeconds(step);
    const seconds = step.timeout ?? Math.max(stepSeconds, own === null ? 0 : own + 30);
    const limit = AbortSignal.timeout(seconds * 1000);
    const stop = AbortSignal.any([signal, total, limit]);
    const duration = () => Math.max(0, clock() - began) / 1000;
    try {
      await this.#act(index, step, stop);
      await output.endStep();
      this.#set(index, { status: 'completed', exit_code: this.#code, duration: duration() });
    } catch (error) {
      const reason: Stop | null = signal.aborted
        ? stopIn(signal)
        : total.aborted
          ? { kind: 'total-time', seconds: totalSeconds }
          : limit.aborted
            ? { kind: 'step-time', seconds }
            : null;
      const how = error instanceof Stopped ? error.how : 'nothing ran on the machine just then';
      const found = reason === null ? error : this.#failureOf(reason, how);
      const cancelled = reason?.kind === 'cancel';
      this.#set(index, {
        status: cancelled ? 'cancelled' : 'failed',
        exit_code: this.#code,
        duration: duration(),
        error: found instanceof Error ? found.message : String(found),
      });
      for (let left = index + 1; left < this.#steps.length; left++) this.#set(left, { status: 'skipped' });
      await output.endStep();
      throw found;
    }
  }

  #failureOf(stop: Stop, how: string): Failure {
    const step = this.#steps[this.#at]?.name ?? '';
    switch (stop.kind) {
      case 'cancel':
        return failure('TASK_CANCELLED', { reached: `${stop.because}${this.reached}; ${how}` });
      case 'closing':
        return failure('TASK_INTERRUPTED', { reached: `${this.reached}; ${how}` });
      case 'step-time':
        return failure('TASK_STEP_TIMEOUT', { step, seconds: stop.seconds, ending: how });
      case 'total-time':
        return failure('TASK_TIMEOUT', { step, seconds: stop.seconds, ending: how });
    }
  }

  async #act(index: number, step: TaskStep, signal: AbortSignal): Promise<void> {
    switch (step.kind) {
      case 'run':
        return this.#commands(index, step, signal);
      case 'put':
        return this.#put(step, signal);
      case 'get':
        return this.#get(step, signal);
      case 'wait':
        return this.#wait(step, signal);
      case 'reboot':
        return this.#reboot(step, signal);
    }
  }

  async #commands(
    index: number,
    step: Extract<TaskStep, { readonly kind: 'run' }>,
    signal: AbortSignal,
  ): Promise<void> {
    const { output } = this.#needs;
    for (const [place, written] of step.commands.entries()) {
      if (signal.aborted) throw new Stopped('nothing ran on the machine just then');
      const command = this.#expanded(step, written);
      await output.say(`$ ${command}\n`);
      const ended = await this.#command(command, signal);
      const which =
        step.commands.length === 1 ? 'its command' : `command ${place + 1} of ${step.commands.length}`;
      this.#code = ended.kind === 'exit' ? ended.code : null;
      switch (ended.kind) {
        case 'exit':
          if (ended.code !== 0)
            throw failure('TASK_STEP_FAILED', {
              step: step.name,
              problem: `${which} ended with code ${ended.code}`,
            });
          if (ended.left) await output.say('[something was left running in the background]\n');
          break;
        case 'signal': {
          // The machine names it, and may name anything.
          const name = /^[A-Z0-9@._-]{1,40}$/i.test(ended.signal) ? ended.signal : 'a signal';
          const problem = `${which} was ended by ${name}`;
          throw failure('TASK_STEP_FAILED', { step: step.name, problem });
        }
        case 'stopped':
          throw new Stopped(ended.how);
        case 'lost': {
          // As CIJOE's own examples have it: a command that reboots, and a step that waits for the end of it.
          const next = this.#needs.task.steps[index + 1];
          const meant = next?.kind === 'wait' && next.state === 'down' && place === step.commands.length - 1;
          if (!meant) throw this.#lost(step, ended.problem);
          await output.say('[the connection ended, as the next step expects]\n');
          this.#leave();
        }
      }
    }
  }

  async #command(command: string, signal: AbortSignal): Promise<Ended> {
    const { output, verbatim } = this.#needs;
    const remote = await this.#connected(signal);
    return remote.run(command, { sink: (stream, bytes) => output.take(stream, bytes), signal, verbatim });
  }

  async #put(step: Extract<TaskStep, { readonly kind: 'put' }>, signal: AbortSignal): Promise<void> {
    const { output, filesDir } = this.#needs;
    const source = join(filesDir, step.src);
    const target = this.#expanded(step, step.dst);
    const found = await stat(source).catch(() => null);
    if (found === null || !found.isFile()) {
      const problem = `the appliance has no file "${step.src}" in ${filesDir}`;
      throw failure('TASK_STEP_FAILED', { step: step.name, problem });
    }
    await this.#copying(step, signal, (remote) => remote.put(source, target, signal));
    await output.say(`${step.src}: ${found.size} bytes -> ${target}\n`);
  }

  async #get(step: Extract<TaskStep, { readonly kind: 'get' }>, signal: AbortSignal): Promise<void> {
    const { output, folder, mostBytes } = this.#needs;
    const source = this.#expanded(step, step.src);
    const files = join(folder, 'files');
    await mkdir(files, { recursive: true, mode: 0o700 });
    const target = join(files, step.dst);
    const size = await this.#copying(step, signal, (remote) => remote.get(source, target, mostBytes, signal));
    await output.say(`${source}: ${size} bytes -> files/${step.dst}\n`);
  }

  async #copying<Value>(
    step: TaskStep,
    signal: AbortSignal,
    work: (remote: Remote) => Promise<Value>,
  ): Promise<Value> {
    const remote = await this.#connected(signal);
    try {
      return await work(remote);
    } catch (error) {
      if (signal.aborted) throw new Stopped('the copy was broken off, and the file may be half there');
      if (remote.isClosed) throw this.#lost(step, messageOf(error));
      throw failure('TASK_STEP_FAILED', { step: step.name, problem: messageOf(error).slice(0, 500) });
    }
  }

  async #wait(step: Extract<TaskStep, { readonly kind: 'wait' }>, signal: AbortSignal): Promise<void> {
    const { host, output } = this.#needs;
    if (step.state === 'down') {
      const down = await host.waitDown(this.#address, step.seconds, signal);
      if (!down)
        throw failure('TASK_STEP_FAILED', {
          step: step.name,
          problem: `it was still up after ${step.seconds} s`,
        });
      this.#leave();
      await output.say('The machine is down.\n');
      return;
    }
    // Who asked for no command but the task's gets a new connection in the place of a question.
    const asks = this.#remote !== null && !this.#needs.verbatim;
    const alive = asks ? await this.#remote?.ask('hostname', signal) : null;
    signal.throwIfAborted();
    if (alive === null || alive === undefined) {
      this.#leave();
      await this.#enter(await this.#heeding(host.wait(step.seconds, signal)));
    }
    await output.say('The machine is up.\n');
  }

  async #reboot(step: Extract<TaskStep, { readonly kind: 'reboot' }>, signal: AbortSignal): Promise<void> {
    const { host, output } = this.#needs;
    const end = performance.now() + step.seconds * 1000;
    const left = () => Math.max(1, Math.round((end - performance.now()) / 1000));
    if (this.#needs.verbatim) {
      const problem =
        'with --task-verbatim only commands of the task are sent: write the one that reboots, then core.wait_for_transport with state down, then with state up';
      throw failure('TASK_STEP_FAILED', { step: step.name, problem });
    }
    const before = await this.#bootId(signal);
    if (before === null) {
      const problem = 'the machine does not tell its boot id, so nothing could prove that it rebooted';
      throw failure('TASK_STEP_FAILED', { step: step.name, problem });
    }
    const sudo = '[ "$(id -u)" = 0 ] || s="sudo -n"';
    const ended = await this.#command(
      `${sudo}; $s systemctl reboot || $s reboot || $s shutdown -r now`,
      signal,
    );
    if (ended.kind === 'stopped') throw new Stopped(ended.how);
    if (ended.kind === 'exit' && ended.code !== 0)
      throw failure('TASK_STEP_FAILED', {
        step: step.name,
        problem: `rebooting ended with code ${ended.code}`,
      });
    await output.say('The machine was told to reboot.\n');
    this.#needs.update({ doing: 'Waits for the machine to come back.' });
    for (;;) {
      // A machine that was told to reboot goes on answering for a while.
      await host.waitDown(this.#address, Math.min(left(), 20), signal);
      this.#leave();
      await this.#enter(await this.#heeding(host.wait(left(), signal)));
      const now = await this.#bootId(signal);
      if (now !== null && now !== before) break;
      if (performance.now() >= end) {
        const problem = `the machine had not rebooted after ${step.seconds} s`;
        throw failure('TASK_STEP_FAILED', { step: step.name, problem });
      }
    }
    this.#needs.update({ doing: null });
    await output.say('The machine has rebooted.\n');
  }

  async #bootId(signal: AbortSignal): Promise<string | null> {
    const remote = await this.#connected(signal);
    return remote.ask('cat /proc/sys/kernel/random/boot_id', signal);
  }

  #expanded(step: TaskStep, text: string): string {
    const record = this.#needs.machine();
    const machine: TaskMachine = {
      mac: record?.mac ?? '',
      hostname: record?.hostname ?? null,
      address: this.#address,
      image_sha256: record?.imageSha256 ?? null,
      labels: record?.labels ?? {},
    };
    const problem = variableProblem(text, machine);
    if (problem !== null) throw failure('TASK_STEP_FAILED', { step: step.name, problem });
    const command = expanded(text, machine);
    if (command.length > mostCommand)
      throw failure('TASK_STEP_FAILED', {
        step: step.name,
        problem: `with its variables it is longer than ${mostCommand} letters`,
      });
    return command;
  }

  async #enter(reached: Reached): Promise<void> {
    this.#remote = reached.remote;
    this.#address = reached.address;
    const key = await this.#needs.met(reached);
    this.#needs.update({ target_ip: reached.address, host_key: key });
    await this.#needs.output.say(`Connected to ${reached.address}, host key ${reached.fingerprint}.\n`);
  }

  /** The connection; made anew where a step before ended it. */
  async #connected(signal: AbortSignal): Promise<Remote> {
    if (this.#remote === null || this.#remote.isClosed)
      await this.#enter(await this.#heeding(this.#needs.host.wait(60, signal)));
    if (this.#remote === null) throw failure('INTERNAL', { problem: 'no connection' });
    return this.#remote;
  }

  #leave(): void {
    this.#remote?.close();
    this.#remote = null;
  }

  #lost(step: TaskStep, problem: string): Failure {
    return failure('TASK_CONNECTION_LOST', { address: this.#address, step: step.name, problem });
  }

  #set(index: number, changes: Partial<StepState>): void {
    const step = this.#steps[index];
    if (step === undefined) return;
    this.#steps[index] = { ...step, ...changes };
    this.#needs.update({ steps: [...this.#steps] });
  }

  /** What waits and is stopped before the first step is told as the stop. */
  async #heeding<Value>(work: Promise<Value>): Promise<Value> {
    try {
      return await work;
    } catch (error) {
      const { signal } = this.#needs;
      if (signal.aborted && this.#at < 0)
        throw this.#failureOf(stopIn(signal), 'nothing was done on the machine');
      throw error;
    }
  }
}

/** Seconds that a step says it may take by itself. */
function ownSeconds(step: TaskStep): number | null {
  return step.kind === 'wait' || step.kind === 'reboot' ? step.seconds : null;
}

function stopIn(signal: AbortSignal): Stop {
  const reason = signal.reason as Partial<Stop> | undefined;
  return reason?.kind === undefined ? { kind: 'cancel', because: '' } : (reason as Stop);
}

/** At most `most` at once; the others wait in their order. */
export class Slots {
  readonly #most: number;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  async take(signal: AbortSignal): Promise<() => void> {
    while (this.#taken >= this.#most) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    signal.throwIfAborted();
    this.#taken++;
    let freed = false;
    return () => {
      if (freed) return;
      freed = true;
      this.#taken--;
      // All look again: one that was stopped meanwhile must not keep the others waiting.
      for (const wake of this.#waiting.splice(0)) wake();
    };
  }
}
