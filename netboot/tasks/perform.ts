/** One run from its beginning to its end: the machine is met, the steps are done, the end is written down. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { TaskState } from '../../shared/contract/task.ts';
import { asFailure, type Failure, failure } from '../../shared/failure.ts';
import { Host, type Reached } from './host.ts';
import { loadKey } from './key.ts';
import type { TaskLibrary } from './library.ts';
import type { Ledger, Live, TasksNeeds } from './live.ts';
import { RunOutput } from './output.ts';
import { folderBytes } from './prune.ts';
import { Run, Slots, type Stop } from './run.ts';
import type { TaskStore } from './store.ts';
import { messageOf } from './words.ts';

/** Addresses of a machine, the newest first. */
export type AddressesOf = (mac: string) => {
  readonly leased: readonly string[];
  readonly seen: readonly string[];
};

export interface PerformerNeeds extends TasksNeeds {
  readonly store: TaskStore;
  readonly library: TaskLibrary;
  readonly ledger: Ledger;
  readonly addressesOf: AddressesOf;
  /** The appliance ends: what cannot be written down now is not waited for. */
  readonly isClosing: () => boolean;
}

export class Performer {
  readonly #needs: PerformerNeeds;
  readonly #slots: Slots;

  constructor(needs: PerformerNeeds) {
    this.#needs = needs;
    this.#slots = new Slots(needs.config.taskParallel);
  }

  /** Answers whether the run has ended; one that only waited when the appliance ended goes on later. */
  async perform(live: Live): Promise<boolean> {
    const { config, clock, ledger } = this.#needs;
    let run: Run | null = null;
    let output: RunOutput | null = null;
    let problem: unknown = null;
    try {
      live.controller.signal.throwIfAborted();
      mkdirSync(live.state.run_dir, { recursive: true, mode: 0o700 });
      output = await RunOutput.open(live.state.run_dir, {
        most: config.taskOutputBytes,
        clock,
        onGrow: () => ledger.grown(live, output),
      });
      run = await this.#prepare(live, output);
      await run.perform();
    } catch (error) {
      problem = live.controller.signal.aborted && run === null ? early(live) : error;
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
    if (!parks) await this.#finish(live, found, run?.code ?? null);
    return !parks;
  }

  /** The end is written down, however long the disk has no room for it. */
  async #finish(live: Live, found: Failure | null, code: number | null): Promise<void> {
    const { database, log, ledger, store, isClosing } = this.#needs;
    if (found !== null) this.#note(live.state.run_dir, found.message);
    const bytes = await folderBytes(live.state.run_dir);
    const before = live.state;
    for (;;) {
      try {
        await database.write(() => {
          live.state = ledger.endInside(before, found, code);
          store.setBytes(before.id, bytes);
        });
        return;
      } catch (error) {
        live.state = before;
        log.error('task', { run: live.state.id, problem: String(error) });
        if (isClosing()) return;
        await pause(5000, undefined, { ref: false });
      }
    }
  }

  async #prepare(live: Live, output: RunOutput): Promise<Run> {
    const { config, machines, clock, store, library, ledger, addressesOf } = this.#needs;
    const { mac, task_ref, run_dir, trigger, user } = live.state;
    const key = await loadKey(config.taskKey);
    if (key === null) throw failure('TASKS_OFF', { path: config.taskKey });
    const { task, text, version } = library.resolve(task_ref);
    writeFileSync(join(run_dir, 'task.yaml'), text, { mode: 0o600 });
    ledger.update(live, { version });
    const host = new Host({
      mac,
      machine: () => machines.store.get(mac),
      addresses: addressesOf,
      hostKey: () => store.hostKey(mac),
      key,
      user,
      port: config.cijoeSshPort,
      nameForm: config.taskHost,
      looksInside: config.taskIdentity === 'strict' && !config.taskVerbatim,
      afterFlash: trigger === 'flash',
      loginPatience: config.taskLoginSeconds * 1000,
      clock,
      tell: (doing) => {
        ledger.update(live, { doing });
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
      update: (changes) => ledger.update(live, changes),
      clock,
      signal: live.controller.signal,
    });
  }

  /** That it runs is written down before its first step: after a crash, one that only waited is begun anew. */
  async #slot(live: Live, signal: AbortSignal): Promise<() => void> {
    const free = await this.#slots.take(signal);
    try {
      await this.#needs.ledger.change(live, { stage: 'running', doing: null });
      return free;
    } catch (error) {
      free();
      throw error;
    }
  }

  /** The key of this flash is written down at the first contact; one of before is told beside it. */
  async #met(mac: string, reached: Reached): Promise<TaskState['host_key']> {
    const { database, machines, store, clock } = this.#needs;
    return database.write(() => {
      const record = machines.store.get(mac);
      const before = store.hostKey(mac);
      const { fingerprint, address } = reached;
      const flashedAt = record?.lastFlashedAt ?? null;
      if (before !== null && before.flashedAt === flashedAt)
        return { fingerprint, expected: null, previous: null };
      store.pin(mac, { flashedAt, fingerprint }, clock());
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

  #note(folder: string, message: string): void {
    try {
      writeFileSync(join(folder, 'error.txt'), `${message}\n`, { mode: 0o600 });
    } catch (error) {
      this.#needs.log.warn('task', { problem: String(error) });
    }
  }
}

/** Why a run was ended that had not begun. */
function early(live: Live): Failure {
  const reason = live.controller.signal.reason as Stop;
  return reason.kind === 'cancel'
    ? failure('TASK_CANCELLED', { reached: `${reason.because}before it began` })
    : failure('TASK_INTERRUPTED', { reached: 'before it began' });
}

/** A full disk is the appliance's own, and told as such. */
function failureIn(error: unknown): Failure {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? failure('TASK_OUTPUT_LOST', { problem: messageOf(error) }, error)
    : asFailure(error);
}
