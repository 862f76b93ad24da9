/** Tasks: their files, their runs on machines, and when they run. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { TaskState } from '../../shared/contract/task.ts';
import { failure } from '../../shared/failure.ts';
import { type Author, unknownMachine } from '../machines/machines.ts';
import type { MachineRecord } from '../machines/record.ts';
import { userOf } from './find.ts';
import { taskOf, withdrawn } from './heed.ts';
import { type LoadedKey, loadKey, makeKey } from './key.ts';
import { tellOfKey } from './keynews.ts';
import { TaskLibrary } from './library.ts';
import { Ledger, type Live, type TasksNeeds } from './live.ts';
import { type AddressesOf, Performer } from './perform.ts';
import { removeRun } from './prune.ts';
import type { Stop } from './run.ts';
import { TaskStore } from './store.ts';
import { messageOf } from './words.ts';

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
  readonly #ledger: Ledger;
  readonly #performer: Performer;
  #addressesOf: AddressesOf = () => ({ leased: [], seen: [] });
  #closing = false;
  #keyProblem: string | null = null;

  constructor(needs: TasksNeeds) {
    this.#needs = needs;
    this.store = new TaskStore(needs.database);
    this.library = new TaskLibrary(needs.database, this.store, needs.clock);
    this.#ledger = new Ledger(needs, this.store);
    this.#performer = new Performer({
      ...needs,
      store: this.store,
      library: this.library,
      ledger: this.#ledger,
      addressesOf: (mac) => this.#addressesOf(mac),
      isClosing: () => this.#closing,
    });
    needs.machines.forgottenInside = (mac) => this.#forgottenInside(mac);
    needs.machines.changedInside = (before, after, author) => this.#changedInside(before, after, author);
  }

  /** Goes on with what waited, and marks what was interrupted. */
  async start(addressesOf: AddressesOf): Promise<void> {
    this.#addressesOf = addressesOf;
    const { database, machines } = this.#needs;
    const waiting = await database.write(() => {
      const found: TaskState[] = [];
      for (const state of this.store.running()) {
        if (waits(state) && machines.store.get(state.mac) !== null) found.push(state);
        else this.#ledger.endInside(state, failure('TASK_INTERRUPTED', { reached: reachedIn(state) }), null);
      }
      return found;
    });
    for (const state of waiting) this.#launch(state, null);
    await this.prune();
    await this.lookAtKey();
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
      this.#needs.database.afterCommit(() =>
        this.#ledger.stop(before, 'because the machine was flashed anew, '),
      );
    const task = taskOf(record);
    if (task !== null) this.#enterInside(record, task, 'flash', author);
  }

  /** Inside a write: a run that waits heeds what the operator decided. Answers whether the machine changed by that. */
  #changedInside(before: MachineRecord, after: MachineRecord, author: Author): boolean {
    const live = this.#running(after.mac);
    // What an operator asked for by hand, and what is half done, is ended by hand too.
    if (live === null || live.state.trigger !== 'flash' || !waits(live.state)) return false;
    const end = withdrawn(before, after);
    if (end === null) return false;
    this.#needs.database.afterCommit(() => this.#ledger.stop(live, end.because));
    if (end.next === null) return false;
    this.#enterInside(after, end.next, 'flash', author);
    return true;
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
    if ((await this.key()) === null) throw failure('TASKS_OFF', { path: config.taskKey });
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
    this.#ledger.stop(live, '');
    await Promise.race([live.over, new Promise((resolve) => setTimeout(resolve, milliseconds).unref())]);
    return this.store.get(live.state.id) ?? live.state;
  }

  /** Inside a write: a machine of that address that is entered later is another one, with another key. */
  #forgottenInside(mac: string): void {
    this.store.forgetHostKey(mac);
    const live = this.#running(mac);
    if (live)
      this.#needs.database.afterCommit(() => this.#ledger.stop(live, 'because the machine was forgotten, '));
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

  /** The key that tasks log in with, null when there is none. Failures: TASK_KEY_UNUSABLE. */
  async key(): Promise<LoadedKey | null> {
    const key = await loadKey(this.#needs.config.taskKey);
    await tellOfKey(this.#needs, key).catch((error: unknown) =>
      this.#needs.log.error('task', { problem: String(error) }),
    );
    return key;
  }

  /** Makes the key when there is none. */
  async makeKey(author: Author): Promise<LoadedKey> {
    const { taskKey, stateDir } = this.#needs.config;
    const before = await loadKey(taskKey);
    const key = await makeKey(taskKey, stateDir);
    await tellOfKey(this.#needs, key, before === null ? author : null);
    return key;
  }

  /** Somebody may have made or changed the key with a command. */
  async lookAtKey(): Promise<void> {
    const problem = await this.key().then(() => null, messageOf);
    if (problem !== null && problem !== this.#keyProblem) this.#needs.log.warn('task', { problem });
    this.#keyProblem = problem;
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
    this.#ledger.tellInside(state, author, `The task ${ref} was begun on ${mac}.`);
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
    if (await this.#performer.perform(live)) await this.prune();
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

/** Nothing was done on the machine yet. */
function waits({ stage }: TaskState): boolean {
  return stage === 'waiting' || stage === 'queued';
}

function reachedIn(state: TaskState): string {
  const at = state.steps.findIndex(({ status }) => status === 'running');
  const step = state.steps[at];
  return step === undefined
    ? 'while the task ran'
    : `in step ${at + 1} of ${state.steps.length}, "${step.name}", and did not see its end`;
}
