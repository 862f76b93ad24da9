/** Task files: those of the registry with their versions, and those that are named by their path. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { type TaskFile, taskNamePattern } from '../../shared/contract/task.ts';
import { Failure, failure } from '../../shared/failure.ts';
import { mostTaskBytes, type Task, type TaskFault } from '../../shared/task/file.ts';
import type { Database } from '../store/database.ts';
import { readTask } from './file.ts';
import type { TaskFileRow, TaskStore } from './store.ts';

export interface ResolvedTask {
  readonly task: Task;
  readonly text: string;
  /** Null for a file that is named by its path. */
  readonly version: number | null;
}

export type Saved =
  | { readonly kind: 'saved'; readonly file: TaskFile; readonly isNew: boolean }
  | { readonly kind: 'invalid'; readonly faults: readonly TaskFault[] };

const namePattern = new RegExp(taskNamePattern);

export class TaskLibrary {
  readonly #database: Database;
  readonly #store: TaskStore;
  readonly #clock: () => number;

  constructor(database: Database, store: TaskStore, clock: () => number) {
    this.#database = database;
    this.#store = store;
    this.#clock = clock;
  }

  /**
   * The task that `ref` means: the name of one in the registry (its latest version, or NAME@VERSION), or the absolute
   * path of a file. Failures: TASK_UNKNOWN, TASK_INVALID.
   */
  resolve(ref: string): ResolvedTask {
    const [, name = '', version] = /^(.*?)(?:@(\d{1,9}))?$/s.exec(ref) ?? [];
    if (namePattern.test(name)) {
      const row = this.#store.file(name, version === undefined ? null : Number(version));
      if (row !== null) return { ...parsed(ref, row.text, true), version: row.version };
      throw failure('TASK_UNKNOWN', { ref, problem: 'the registry has none of that name' });
    }
    if (!isAbsolute(ref))
      throw failure('TASK_UNKNOWN', { ref, problem: 'it is neither a name nor an absolute path' });
    return { ...parsed(ref, readBounded(ref), false), version: null };
  }

  /** Saves `text` as a new version; the same text as the latest makes none. `inside` runs in the same write. */
  save(name: string, text: string, author: string, inside: (file: TaskFile) => void): Promise<Saved> {
    const read = readTask(text);
    if (read.kind === 'invalid') return Promise.resolve(read);
    const { task } = read;
    return this.#database.write(() => {
      const last = this.#store.file(name, null);
      if (last?.text === text) return { kind: 'saved', file: wireFile(last), isNew: false };
      const row: TaskFileRow = {
        name,
        version: (last?.version ?? 0) + 1,
        text,
        summary: (task.doc.trim().split('\n')[0] ?? '').slice(0, 200),
        steps: task.steps.length,
        savedAt: this.#clock(),
        savedBy: author,
      };
      this.#store.saveFile(row);
      const file = wireFile(row);
      inside(file);
      return { kind: 'saved', file, isNew: true };
    });
  }
}

export function wireFile({ name, version, summary, steps, savedAt, savedBy }: TaskFileRow): TaskFile {
  return { name, version, summary, steps, saved_at: new Date(savedAt).toISOString(), saved_by: savedBy };
}

function parsed(
  ref: string,
  text: string,
  tellsText: boolean,
): { readonly task: Task; readonly text: string } {
  const read = readTask(text);
  if (read.kind === 'valid') return { task: read.task, text };
  const [first] = read.faults;
  const more = read.faults.length > 1 ? ` (and ${read.faults.length - 1} more)` : '';
  // A path may lead to any file of the appliance: what is in it is not told back.
  const said = tellsText ? `: ${first?.message ?? ''}` : ' is not what a task has';
  throw failure('TASK_INVALID', {
    name: ref,
    problem: `line ${first?.line}, column ${first?.column}${said}${more}`,
  });
}

/** The text of a task file; a pipe or a device in its place is refused, and so is what is too long. */
export function readBounded(path: string): string {
  const refuse = (problem: string) => failure('TASK_UNKNOWN', { ref: path, problem });
  let file: number;
  try {
    // Opening a device may already do something.
    if (!statSync(path).isFile()) throw refuse('it is no file');
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw refuse(code === 'ENOENT' ? 'the appliance has no such file' : `it cannot be read (${code})`);
  }
  try {
    if (!fstatSync(file).isFile()) throw refuse('it is no file');
    const bytes = Buffer.alloc(mostTaskBytes + 1);
    let size = 0;
    try {
      for (let read = 1; read > 0 && size < bytes.length; size += read)
        read = readSync(file, bytes, size, bytes.length - size, null);
    } catch (error) {
      throw refuse(
        `it cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : error})`,
      );
    }
    if (size > mostTaskBytes)
      throw failure('TASK_INVALID', { name: path, problem: `it is longer than ${mostTaskBytes} bytes` });
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, size));
    } catch {
      throw failure('TASK_INVALID', { name: path, problem: 'it is no UTF-8 text' });
    }
  } finally {
    closeSync(file);
  }
}
