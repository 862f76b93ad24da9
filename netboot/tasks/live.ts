/** A run while it is not over, and how what becomes of it is kept and told. */
import type { TaskState } from '../../shared/contract/task.ts';
import type { Failure } from '../../shared/failure.ts';
import type { Config } from '../config/settings.ts';
import type { Hub } from '../events/hub.ts';
import type { EventLog } from '../events/log.ts';
import type { Log } from '../log.ts';
import type { Author, Machines } from '../machines/machines.ts';
import type { Database } from '../store/database.ts';
import type { RunOutput } from './output.ts';
import type { Stop } from './run.ts';
import type { Remote } from './ssh.ts';
import type { TaskStore } from './store.ts';

export interface TasksNeeds {
  readonly database: Database;
  readonly machines: Machines;
  readonly events: EventLog;
  readonly hub: Hub;
  readonly config: Config;
  readonly log: Log;
  readonly clock: () => number;
}

export interface Live {
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

export class Ledger {
  readonly #needs: TasksNeeds;
  readonly #store: TaskStore;

  constructor(needs: TasksNeeds, store: TaskStore) {
    this.#needs = needs;
    this.#store = store;
  }

  stop(live: Live, because: string): void {
    const stop: Stop = { kind: 'cancel', because };
    live.controller.abort(stop);
    this.update(live, { doing: 'Is being cancelled.' });
  }

  /** Its output became more. */
  grown(live: Live, output: RunOutput | null): void {
    if (output === null || live.telling) return;
    const wait = live.told + tellEvery - performance.now();
    if (wait > 0) {
      // What came too soon after the last is told a little later: nothing else may come for hours.
      live.telling = true;
      setTimeout(() => {
        live.telling = false;
        if (live.state.stage !== 'ended') this.grown(live, output);
      }, wait).unref();
      return;
    }
    live.told = performance.now();
    live.state = { ...live.state, output_bytes: output.bytes, output_dropped: output.dropped };
    this.#publish(live.state);
  }

  update(live: Live, changes: Partial<TaskState>): void {
    this.change(live, changes).catch((error: unknown) =>
      this.#needs.log.error('task', { run: live.state.id, problem: String(error) }),
    );
  }

  /** Resolves when it is on the disk. */
  change(live: Live, changes: Partial<TaskState>): Promise<void> {
    live.state = { ...live.state, ...changes };
    this.#publish(live.state);
    const kept = live.state;
    return this.#needs.database.write(() => {
      if (this.#store.get(kept.id)?.status === 'running') this.#store.save(kept);
    });
  }

  /** Inside a write: the run is over. */
  endInside(state: TaskState, found: Failure | null, code: number | null): TaskState {
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
    this.#store.save(ended);
    this.tellInside(
      ended,
      system,
      `The task ${state.task_ref} on ${state.mac} is ${status}${found ? `: ${found.message}` : '.'}`,
    );
    const record = machines.store.get(state.mac);
    const newest = this.#store.last(state.mac)?.id === state.id;
    if (record !== null && newest) machines.store.put({ ...record, lastTaskStatus: status });
    machines.tellOf(state.mac);
    database.afterCommit(() => this.#publish(ended));
    return ended;
  }

  /** Inside a write: an event with what the run has come to. */
  tellInside(state: TaskState, author: Author, summary: string): void {
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

  #publish(state: TaskState): void {
    this.#needs.hub.publish({ kind: 'job', key: `task ${state.mac}`, job: { kind: 'task', ...state } });
  }
}
