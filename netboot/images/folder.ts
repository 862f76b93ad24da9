/**
 * A folder of files whose digests are known, each only for the exact state of the file that was read: device, inode,
 * size and both times. A file that changed has no digest until it was read again.
 */
import { type FSWatcher, watch } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type FileState, type OpenedFile, openRegular, sameState, stateOf } from '../http/content.ts';
import type { ImageFacts } from './look.ts';
import { codeOf } from './words.ts';

/** What a file held when it was read in `state`. */
export interface FileFacts {
  readonly state: FileState;
  readonly sha256: string;
  readonly facts: ImageFacts;
}

/** Where facts are kept over restarts. */
export interface FactStore {
  all(folder: string): ReadonlyMap<string, FileFacts>;
  save(folder: string, name: string, facts: FileFacts): Promise<void>;
  remove(folder: string, name: string): Promise<void>;
}

export interface StoredFile {
  readonly name: string;
  readonly path: string;
  readonly state: FileState;
  /** Null until the file was read in this state. */
  readonly known: FileFacts | null;
}

export interface FolderOptions {
  readonly path: string;
  /** Names its facts in the store. */
  readonly label: string;
  readonly accepts: (name: string) => boolean;
  readonly facts: FactStore;
  /** Told after a look that found something new. */
  readonly onChange: () => void;
  readonly onFault: (error: unknown) => void;
  /** Milliseconds between looks that nothing else caused. */
  readonly every?: number;
}

const settleMilliseconds = 150;
const together = 64;

export class Folder {
  readonly path: string;
  readonly #options: FolderOptions;
  readonly #facts: Map<string, FileFacts>;
  #files: ReadonlyMap<string, StoredFile> = new Map();
  #looking: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  #watcher: FSWatcher | null = null;
  #timer: NodeJS.Timeout | null = null;
  #settling: NodeJS.Timeout | null = null;

  constructor(options: FolderOptions) {
    this.path = options.path;
    this.#options = options;
    this.#facts = new Map(options.facts.all(options.label));
  }

  /** The files as of the last look, ordered by name. */
  files(): readonly StoredFile[] {
    return [...this.#files.values()];
  }

  get(name: string): StoredFile | undefined {
    return this.#files.get(name);
  }

  byDigest(sha256: string): StoredFile | undefined {
    for (const file of this.#files.values()) if (file.known?.sha256 === sha256) return file;
    return undefined;
  }

  /** Looks at the folder; resolves after a look that began after the call. */
  refresh(): Promise<void> {
    if (this.#looking === null) {
      this.#looking = this.#look().finally(() => {
        this.#looking = null;
      });
      return this.#looking;
    }
    this.#next ??= this.#looking
      .catch(() => {})
      .then(() => {
        this.#next = null;
        return this.refresh();
      });
    return this.#next;
  }

  /** Opens a file for reading, with its digest if that is known of exactly what was opened. */
  async open(name: string): Promise<{ readonly opened: OpenedFile; readonly sha256: string | null } | null> {
    const opened = await openRegular(join(this.path, name));
    if (opened === null) return null;
    const known = this.#facts.get(name);
    return { opened, sha256: known && sameState(known.state, opened.state) ? known.sha256 : null };
  }

  /** What is remembered of `name`, of whatever state. */
  remembered(name: string): FileFacts | undefined {
    return this.#facts.get(name);
  }

  /** Keeps what `name` held in a state. */
  async remember(name: string, known: FileFacts): Promise<void> {
    this.#facts.set(name, known);
    await this.#options.facts.save(this.#options.label, name, known);
    await this.refresh();
  }

  /** Looks again whenever the system tells of a change, and every half minute for systems that do not tell. */
  watch(): void {
    const again = (): void => {
      this.#settling ??= setTimeout(() => {
        this.#settling = null;
        this.refresh().catch(this.#options.onFault);
      }, settleMilliseconds).unref();
    };
    const attach = (): void => {
      if (this.#watcher) return;
      try {
        this.#watcher = watch(this.path, { persistent: false }, again);
        this.#watcher.on('error', () => {
          this.#watcher?.close();
          this.#watcher = null;
        });
      } catch {
        // The folder is not there yet, or the system has no watches left: the timer looks.
      }
    };
    attach();
    this.#timer = setInterval(() => {
      attach();
      again();
    }, this.#options.every ?? 30_000).unref();
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = null;
    if (this.#timer) clearInterval(this.#timer);
    if (this.#settling) clearTimeout(this.#settling);
  }

  async #look(): Promise<void> {
    const names = await fileNames(this.path);
    if (names === null) return;
    const wanted = names.filter((name) => this.#options.accepts(name)).sort();
    const found = new Map<string, StoredFile>();
    for (let start = 0; start < wanted.length; start += together) {
      const some = wanted.slice(start, start + together);
      for (const file of await Promise.all(some.map((name) => this.#see(name)))) {
        if (file) found.set(file.name, file);
      }
    }
    const before = this.#files;
    this.#files = found;
    for (const name of [...this.#facts.keys()]) {
      if (names.includes(name)) continue;
      this.#facts.delete(name);
      this.#options.facts.remove(this.#options.label, name).catch(this.#options.onFault);
    }
    if (!sameFiles(before, found)) this.#options.onChange();
  }

  async #see(name: string): Promise<StoredFile | null> {
    const path = join(this.path, name);
    try {
      const status = await lstat(path, { bigint: true });
      if (!status.isFile()) return null;
      const state = stateOf(status);
      const known = this.#facts.get(name);
      return { name, path, state, known: known && sameState(known.state, state) ? known : null };
    } catch (error) {
      if (codeOf(error) === null) throw error;
      return null;
    }
  }
}

/** Names of the regular files in `path`; empty when there is no such folder, null when it cannot be read now. */
async function fileNames(path: string): Promise<readonly string[] | null> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    if (codeOf(error) === null) throw error;
    return null;
  }
}

function sameFiles(one: ReadonlyMap<string, StoredFile>, other: ReadonlyMap<string, StoredFile>): boolean {
  if (one.size !== other.size) return false;
  for (const [name, file] of one) {
    const twin = other.get(name);
    if (!twin || !sameState(file.state, twin.state) || file.known?.sha256 !== twin.known?.sha256)
      return false;
  }
  return true;
}
