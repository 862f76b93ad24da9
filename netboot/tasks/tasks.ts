/** Tasks: their files, their runs on machines, and when they run. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { TaskState } from '../../shared/contract/task.ts';
import { asFailure, type Failure, failure } from '../../shared/failure.ts';
import type { Config } from '../config/settings.ts';
import type { Hub } from '../events/hub.ts';
import type { EventLog } from '../events/log.ts';
import type { Log } from '../log.ts';
import { type Author, type Machines, unknownMachine } from '../machines/machines.ts';
import type { MachineRecord } from '../machines/record.ts';
import type { Database } from '../store/database.ts';
import { userOf } from './find.ts';
import { Host, type Reached } from './host.ts';
import { loadKey } from './key.ts';
import { TaskLibrary } from './library.ts';
import { RunOutput } from './output.ts';
import { folderBytes, removeRun } from './prune.ts';
import { Run, Slots, type Stop } from './run.ts';
import type { Remote } from './ssh.ts';
import { TaskStore } from './store.ts';

export interface TasksNeeds {
  readonly database: Database;
  readonly machines: Machines;
  readonly events: EventLog;
  readonly hub: Hub;
  readonly config: Config;
  readonly log: Log;
  readonly clock: () => number;
}

/** Addresses of a machine, the newest first. */
export type AddressesOf = (mac: string) => {
  readonly leased: readonly string[];
  readonly seen: readonly string[];
};

interface Live {
  state: TaskState;
  readonly controller: AbortController;
  /** The run on the same machine before it, which was not over yet. */
  readonly before: Live | null;
  /** `undone` of the database when it was entered; null once it is known to be written. */
  unsure: number | null;
  /** Last connection to the machine. */
  remote: Remote | null;
  over: Promise<void>;
  /** When its progress was last told, in milliseconds. */
  told: number;
  /** Something is to be told when that is long enough ago. */
  telling: boolean;
}

const system: Author = { actor: 'system', address: null };
/** Progress is told this often at most, in milliseconds. */
const tellEvery = 500;
/** What runs has so long to end when the appliance ends, in milliseconds; then its connections are cut. */
const closePatience = 15_000;

export class Tasks {
  readonly store: TaskStore;
  readonly library: TaskLibrary;
  readonly #needs: TasksNeeds;
  /** The newest of each machine. */
  readonly #live = new Map<string, Live>();
  /** All that are not over. */
  readonly #all = new Set<Live>();
  readonly #slots: Slots;
  #addressesOf: AddressesOf = () => ({ leased: [], seen: [] });
  #closing = false;

  constructor(needs: TasksNeeds) {
    this.#needs = needs;
    this.store = new TaskStore(needs.database);
    this.library = new TaskLibrary(needs.database, this.store, needs.clock);
    this.#slots = new Slots(needs.config.taskParallel);
    needs.machines.forgottenInside = (mac) => this.#forgottenInside(mac);
  }

  /** Goes on with what waited, and marks what was interrupted. */
  async start(addressesOf: AddressesOf): Promise<void> {
    this.#addressesOf = addressesOf;
    const { database, machines } = this.#needs;
    const waiting = await database.write(() => {
      const found: TaskState[] = [];
      for (const state of this.store.running()) {
        const waits = state.stage === 'waiting' || state.stage === 'queued';
        if (waits && machines.store.get(state.mac) !== null) found.push(state);
        else this.#endInside(state, failure('TASK_INTERRUPTED', { reached: reachedIn(state) }), null);
      }
      return found;
    });
    for (const state of waiting) this.#launch(state, null);
    await this.prune();
  }

  async close(): Promise<void> {
    this.#closing = true;
    const stop: Stop = { kind: 'closing' };
    for (const { controller } of this.#all) controller.abort(stop);
    const over = Promise.all([...this.#all].map((live) => live.over));
    await within(closePatience, over);
    for (const { remote, state } of this.#all) {
      this.#needs.log.warn('task', { run: state.id, problem: 'did not end in time' });
      remote?.destroy();
    }
    await within(1000, over);
  }

  /** Inside a write: the machine was flashed. Its task, when it has one, waits for it from now on. */
  flashedInside(record: MachineRecord, author: Author): void {
    const before = this.#running(record.mac);
    if (before)
      this.#needs.database.afterCommit(() => this.#stop(before, 'because the machine was flashed anew, '));
    if (record.provisioningMode !== 'cijoe-task' || record.cijoeTaskRef === null) return;
    this.#enterInside(record, record.cijoeTaskRef, 'flash', author);
  }

  /** Runs a task by hand; while one runs on the machine, that one is answered. Failures: TASKS_OFF, TASK_… */
  async run(mac: string, ref: string | null, author: Author): Promise<TaskState> {
    const { database, machines, config } = this.#needs;
    const record = machines.store.get(mac);
    if (record === null) throw unknownMachine(mac);
    const live = this.#running(mac);
    if (live) return live.state;
    const wanted = ref ?? record.cijoeTaskRef;
    if (wanted === null) throw failure('TASK_NOT_SET', { mac });
    if ((await loadKey(config.taskKey)) === null) throw failure('TASKS_OFF', { path: config.taskKey });
    this.library.resolve(wanted);
    return database.write(() => {
      const meanwhile = this.#running(mac);
      if (meanwhile) return meanwhile.state;
      const now = machines.store.get(mac);
      if (now === null) throw unknownMachine(mac);
      return this.#enterInside(now, wanted, 'operator', author);
    });
  }

  /** Cancels what runs on a machine; waits for the end of it `milliseconds` at most. Null when nothing ever ran. */
  async cancel(mac: string, author: Author, milliseconds = 2_000): Promise<TaskState | null> {
    const live = this.#running(mac);
    if (!live) return this.store.last(mac);
    await this.#needs.database.write(() =>
      this.#needs.machines.append(mac, author, {
        kind: 'machine.task.cancel_asked',
        summary: `The task on ${mac} is to be cancelled.`,
        details: { task_ref: live.state.task_ref, run: live.state.id },
      }),
    );
    this.#stop(live, '');
    await Promise.race([live.over, new Promise((resolve) => setTimeout(resolve, milliseconds).unref())]);
    return this.store.get(live.state.id) ?? live.state;
  }

  /** Inside a write: a machine of that address that is entered later is another one, with another key. */
  #forgottenInside(mac: string): void {
    this.store.forgetHostKey(mac);
    const live = this.#running(mac);
    if (live) this.#needs.database.afterCommit(() => this.#stop(live, 'because the machine was forgotten, '));
  }

  /** The run on a machine that is not over. One that was told to have ended may still be tidying up. */
  #running(mac: string): Live | null {
    const live = this.#live.get(mac);
    if (live === undefined) return null;
    if (live.unsure !== null && live.unsure !== this.#needs.database.undone && !this.#isEntered(live)) {
      this.#drop(live);
      return this.#running(mac);
    }
    return live.state.stage === 'ended' ? null : live;
  }

  /** A run as it is at this moment. */
  get(id: number): TaskState | null {
    for (const { state } of this.#all) if (state.id === id) return state;
    return this.store.get(id);
  }

  /** Forgets the host key of a machine. False when none is known. */
  acceptHostKey(mac: string, author: Author): Promise<boolean> {
    return this.#needs.database.write(() => {
      const before = this.store.hostKey(mac);
      if (before === null) return false;
      this.store.forgetHostKey(mac);
      this.#needs.machines.append(mac, author, {
        kind: 'machine.host_key.forgotten',
        summary: `The host key of ${mac} was forgotten; the next contact tells a new one.`,
        details: { fingerprint: before.fingerprint },
      });
      return true;
    });
  }

  /** Takes away runs that are too many. */
  async prune(): Promise<number> {
    const { config, database } = this.#needs;
    const old = this.store.tooMany(config.taskRunsKept, config.taskBytesKept);
    for (const { run_dir } of old) await removeRun(this.#root, run_dir);
    if (old.length > 0)
      await database.write(() => {
        for (const { id } of old) this.store.remove(id);
      });
    return old.length;
  }

  get #root(): string {
    return join(this.#needs.config.stateDir, 'tasks');
  }

  #enterInside(record: MachineRecord, ref: string, trigger: TaskState['trigger'], author: Author): TaskState {
    const { config, clock, database, machines } = this.#needs;
    const { mac } = record;
    const at = clock();
    const stamp = new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '');
    const user = userOf(record.labels, config.taskUsers, config.taskUser);
    const taken = this.#isTaken(mac, stamp);
    const state = this.store.enter(mac, 'waiting', (id) => ({
      mac,
      task_ref: ref,
      target_ip: null,
      status: 'running',
      started_at: at / 1000,
      finished_at: null,
      error: null,
      returncode: null,
      // Two in one second must not share a folder.
      run_dir: join(this.#root, mac, taken ? `${stamp}-${id}` : stamp),
      id,
      stage: 'waiting',
      doing: null,
      code: null,
      advice: null,
      version: null,
      trigger,
      user,
      host_key: null,
      steps: [],
      output_bytes: 0,
      output_dropped: 0,
    }));
    this.#tellInside(state, author, `The task ${ref} was begun on ${mac}.`);
    machines.store.put({
      ...record,
      ...machines.store.get(mac),
      lastTaskRunAt: at,
      lastTaskStatus: 'running',
      lastTaskOutputPath: state.run_dir,
    });
    machines.tellOf(mac);
    this.#launch(state, database.undone);
    return state;
  }

  #isTaken(mac: string, stamp: string): boolean {
    return this.store
      .runs({ mac, status: null, before: null, limit: 5 })
      .some(({ run_dir }) => run_dir.endsWith(stamp));
  }

  /** Whoever asks finds the run from now on. It begins once it is safe on the disk, and the one before it is over. */
  #launch(state: TaskState, unsure: number | null): void {
    if (this.#closing) return;
    const before = this.#live.get(state.mac) ?? null;
    const live: Live = {
      state,
      controller: new AbortController(),
      before,
      unsure,
      remote: null,
      over: Promise.resolve(),
      told: 0,
      telling: false,
    };
    this.#live.set(state.mac, live);
    this.#all.add(live);
    live.over = this.#carry(live)
      .catch((error: unknown) => this.#needs.log.error('task', { run: state.id, problem: String(error) }))
      .finally(() => this.#drop(live));
  }

  async #carry(live: Live): Promise<void> {
    if (!(await this.#isKept(live))) return;
    await live.before?.over;
    await this.#perform(live);
  }

  /** Whether the write that entered the run came to stay. */
  async #isKept(live: Live): Promise<boolean> {
    while (live.unsure !== null) {
      if (!this.#all.has(live)) return false;
      try {
        // It comes after the write that it asks about, and is answered when both are on the disk.
        const kept = await this.#needs.database.write(() => this.#isEntered(live));
        if (!kept) return false;
        live.unsure = null;
      } catch {
        if (this.#closing) return false;
        await pause(1000, undefined, { ref: false });
      }
    }
    return true;
  }

  #isEntered({ state }: Live): boolean {
    const found = this.store.get(state.id);
    return found?.mac === state.mac && found.run_dir === state.run_dir;
  }

  #drop(live: Live): void {
    this.#all.delete(live);
    const { mac } = live.state;
    if (this.#live.get(mac) !== live) return;
    if (live.before !== null && this.#all.has(live.before)) this.#live.set(mac, live.before);
    else this.#live.delete(mac);
  }

  async #perform(live: Live): Promise<void> {
    const { config, clock } = this.#needs;
    let run: Run | null = null;
    let output: RunOutput | null = null;
    let problem: unknown = null;
    try {
      live.controller.signal.throwIfAborted();
      mkdirSync(live.state.run_dir, { recursive: true, mode: 0o700 });
      output = await RunOutput.open(live.state.run_dir, {
        most: config.taskOutputBytes,
        clock,
        onGrow: () => this.#grown(live, output),
      });
      run = await this.#prepare(live, output);
      await run.perform();
    } catch (error) {
      problem = live.controller.signal.aborted && run === null ? this.#early(live) : error;
    }
    let found = problem === null ? null : failureIn(problem);
    const { stage } = live.state;
    // What only waited goes on after the next start.
    const parks = found?.code === 'TASK_INTERRUPTED' && (stage === 'waiting' || stage === 'queued');
    try {
      await output?.say(found === null || parks ? '' : `${found.message}\n`);
    } catch (error) {
      found ??= failureIn(error);
    }
    try {
      await output?.close();
    } catch (error) {
      found ??= failureIn(error);
    }
    live.state = {
      ...live.state,
      output_bytes: output?.bytes ?? 0,
      output_dropped: output?.dropped ?? 0,
    };
    if (parks) return;
    await this.#finish(live, found, run?.code ?? null);
    await this.prune();
  }

  /** The end is written down, however long the disk has no room for it. */
  async #finish(live: Live, found: Failure | null, code: number | null): Promise<void> {
    const { database, log } = this.#needs;
    if (found !== null) this.#note(live.state.run_dir, found.message);
    const bytes = await folderBytes(live.state.run_dir);
    const before = live.state;
    for (;;) {
      try {
        await database.write(() => {
          live.state = this.#endInside(before, found, code);
          this.store.setBytes(before.id, bytes);
        });
        return;
      } catch (error) {
        live.state = before;
        log.error('task', { run: live.state.id, problem: String(error) });
        if (this.#closing) return;
        await pause(5000, undefined, { ref: false });
      }
    }
  }

  async #prepare(live: Live, output: RunOutput): Promise<Run> {
    const { config, machines, clock } = this.#needs;
    const { mac, task_ref, run_dir, trigger, user } = live.state;
    const key = await loadKey(config.taskKey);
    if (key === null) throw failure('TASKS_OFF', { path: config.taskKey });
    const { task, text, version } = this.library.resolve(task_ref);
    writeFileSync(join(run_dir, 'task.yaml'), text, { mode: 0o600 });
    this.#update(live, { version });
    const host = new Host({
      mac,
      machine: () => machines.store.get(mac),
      addresses: (of) => this.#addressesOf(of),
      hostKey: () => this.store.hostKey(mac),
      key,
      user,
      port: config.cijoeSshPort,
      nameForm: config.taskHost,
      looksInside: config.taskIdentity === 'strict' && !config.taskVerbatim,
      afterFlash: trigger === 'flash',
      loginPatience: config.taskLoginSeconds * 1000,
      clock,
      tell: (doing) => {
        this.#update(live, { doing });
        output.say(`${doing}\n`).catch(() => {});
      },
    });
    return new Run({
      task,
      machine: () => machines.store.get(mac),
      host,
      output,
      folder: run_dir,
      filesDir: config.taskFilesDir,
      waitSeconds: config.taskWaitSeconds,
      stepSeconds: config.taskStepSeconds,
      totalSeconds: config.taskSeconds,
      mostBytes: config.taskOutputBytes,
      verbatim: config.taskVerbatim,
      slot: (signal) => this.#slot(live, signal),
      met: (reached) => {
        live.remote = reached.remote;
        return this.#met(mac, reached);
      },
      update: (changes) => this.#update(live, changes),
      clock,
      signal: live.controller.signal,
    });
  }

  #early(live: Live): unknown {
    const reason = live.controller.signal.reason as Stop;
    return reason.kind === 'cancel'
      ? failure('TASK_CANCELLED', { reached: `${reason.because}before it began` })
      : failure('TASK_INTERRUPTED', { reached: 'before it began' });
  }

  /** That it runs is written down before its first step: after a crash, one that only waited is begun anew. */
  async #slot(live: Live, signal: AbortSignal): Promise<() => void> {
    const free = await this.#slots.take(signal);
    try {
      await this.#change(live, { stage: 'running', doing: null });
      return free;
    } catch (error) {
      free();
      throw error;
    }
  }

  /** The key of this flash is written down at the first contact; one of before is told beside it. */
  async #met(mac: string, reached: Reached): Promise<TaskState['host_key']> {
    const { database, machines, clock } = this.#needs;
    return database.write(() => {
      const record = machines.store.get(mac);
      const before = this.store.hostKey(mac);
      const { fingerprint, address } = reached;
      const flashedAt = record?.lastFlashedAt ?? null;
      if (before !== null && before.flashedAt === flashedAt)
        return { fingerprint, expected: null, previous: null };
      this.store.pin(mac, { flashedAt, fingerprint }, clock());
      const other = before !== null && before.fingerprint !== fingerprint ? before.fingerprint : null;
      const since = other === null ? '' : `; before this flash it was ${other}`;
      machines.append(
        mac,
        { actor: 'system', address },
        {
          kind: 'machine.host_key.met',
          summary: `${mac} has the host key ${fingerprint}${since}.`,
          details: { fingerprint, previous: other },
        },
      );
      return { fingerprint, expected: null, previous: other };
    });
  }

  #stop(live: Live, because: string): void {
    const stop: Stop = { kind: 'cancel', because };
    live.controller.abort(stop);
    this.#update(live, { doing: 'Is being cancelled.' });
  }

  #grown(live: Live, output: RunOutput | null): void {
    if (output === null || live.telling) return;
    const wait = live.told + tellEvery - performance.now();
    if (wait > 0) {
      // What came too soon after the last is told a little later: nothing else may come for hours.
      live.telling = true;
      setTimeout(() => {
        live.telling = false;
        if (live.state.stage !== 'ended') this.#grown(live, output);
      }, wait).unref();
      return;
    }
    live.told = performance.now();
    live.state = { ...live.state, output_bytes: output.bytes, output_dropped: output.dropped };
    this.#publish(live.state);
  }

  #update(live: Live, changes: Partial<TaskState>): void {
    this.#change(live, changes).catch((error: unknown) =>
      this.#needs.log.error('task', { run: live.state.id, problem: String(error) }),
    );
  }

  /** Resolves when it is on the disk. */
  #change(live: Live, changes: Partial<TaskState>): Promise<void> {
    live.state = { ...live.state, ...changes };
    this.#publish(live.state);
    const kept = live.state;
    return this.#needs.database.write(() => {
      if (this.store.get(kept.id)?.status === 'running') this.store.save(kept);
    });
  }

  #publish(state: TaskState): void {
    this.#needs.hub.publish({ kind: 'job', key: `task ${state.mac}`, job: { kind: 'task', ...state } });
  }

  /** Inside a write: the run is over. */
  #endInside(state: TaskState, found: ReturnType<typeof asFailure> | null, code: number | null): TaskState {
    const { clock, database, machines } = this.#needs;
    const status = found === null ? 'completed' : found.code === 'TASK_CANCELLED' ? 'cancelled' : 'failed';
    const expected = found?.code === 'TASK_HOST_KEY_CHANGED' ? found.details : null;
    const ended: TaskState = {
      ...state,
      status,
      stage: 'ended',
      doing: null,
      finished_at: clock() / 1000,
      error: found?.message ?? null,
      code: found?.code ?? null,
      advice: found?.advice ?? null,
      returncode: found === null ? 0 : code,
      steps: state.steps.map((step) => (step.status === 'running' ? { ...step, status: 'failed' } : step)),
      ...(expected === null
        ? {}
        : {
            host_key: {
              fingerprint: String(expected.found),
              expected: String(expected.expected),
              previous: null,
            },
          }),
    };
    this.store.save(ended);
    this.#tellInside(
      ended,
      system,
      `The task ${state.task_ref} on ${state.mac} is ${status}${found ? `: ${found.message}` : '.'}`,
    );
    const record = machines.store.get(state.mac);
    const newest = this.store.last(state.mac)?.id === state.id;
    if (record !== null && newest) machines.store.put({ ...record, lastTaskStatus: status });
    machines.tellOf(state.mac);
    database.afterCommit(() => this.#publish(ended));
    return ended;
  }

  #tellInside(state: TaskState, author: Author, summary: string): void {
    const { task_ref, returncode, error, run_dir, id, trigger } = state;
    const address = state.target_ip ?? author.address;
    this.#needs.machines.append(
      state.mac,
      { ...author, address },
      {
        kind: `machine.task.${state.status}`,
        summary: summary.slice(0, 1000),
        details: { task_ref, returncode, error, run_dir, run: id, trigger },
      },
    );
  }

  #note(folder: string, message: string): void {
    try {
      writeFileSync(join(folder, 'error.txt'), `${message}\n`, { mode: 0o600 });
    } catch (error) {
      this.#needs.log.warn('task', { problem: String(error) });
    }
  }
}

/** Resolves when `work` does, or after `milliseconds`. */
async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | null = null;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([work, late]);
  if (timer !== null) clearTimeout(timer);
}

/** A full disk is the appliance's own, and told as such. */
function failureIn(error: unknown): Failure {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? failure('TASK_OUTPUT_LOST', { problem: messageOf(error) }, error)
    : asFailure(error);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function reachedIn(state: TaskState): string {
  const at = state.steps.findIndex(({ status }) => status === 'running');
  const step = state.steps[at];
  return step === undefined
    ? 'while the task ran'
    : `in step ${at + 1} of ${state.steps.length}, "${step.name}", and did not see its end`;
}
