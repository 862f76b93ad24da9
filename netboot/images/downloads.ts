/** Brings images from elsewhere into the cache: once, however many wait, and on after a restart. */
import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../shared/failure.ts';
import { stateOf } from '../http/content.ts';
import type { Content } from '../http/file.ts';
import { isSettled, type Job } from '../jobs/job.ts';
import type { JobRunner, JobTools } from '../jobs/runner.ts';
import type { CatalogRow } from './entry.ts';
import { makeFolder, syncFolder } from './folders.ts';
import { Incoming } from './incoming.ts';
import type { Library } from './library.ts';
import { lookAt, readerOf } from './look.ts';
import type { ManifestFile, Origin } from './manifest.ts';
import { transfer } from './transfer.ts';

/** What downloads that were killed leave; they go on with it. */
export const downloadLeftover = /^\.download-[0-9a-f]{64}\.partial$/;

/** An image that can be fetched. */
export interface Fetchable {
  readonly name: string;
  readonly src: string;
  readonly origin: Origin;
  /** Null for an address of which nobody knows the digest. */
  readonly sha256: string | null;
  readonly size: number | null;
}

export interface DownloadsOptions {
  readonly folder: string;
  readonly parallel: number;
  readonly jobs: JobRunner;
  readonly library: Library;
  readonly manifest: ManifestFile;
  readonly rows: () => readonly CatalogRow[];
  /** Rejects with STORE_QUOTA when so many bytes are too many; what lies in the file `partial` is part of them. */
  readonly admit: (bytes: number, partial: string) => Promise<number>;
  readonly onFetched: (fetched: Fetchable, sha256: string, size: number) => Promise<void>;
  readonly onFailed: (name: string, error: string) => void;
  /** Milliseconds before the second attempt. */
  readonly backoff?: number;
  /** Milliseconds of silence after which a server is given up. */
  readonly idle?: number;
}

interface DownloadResult {
  readonly sha256: string;
  readonly size: number;
}

export class Downloads {
  readonly #options: DownloadsOptions;
  readonly #incoming = new Map<string, Incoming>();
  /** The one transfer of each partial file. */
  readonly #lanes = new Map<string, Promise<unknown>>();

  constructor(options: DownloadsOptions) {
    this.#options = options;
    options.jobs.register('download', {
      parallel: options.parallel,
      work: (job, tools) => this.#work(job, tools),
      onEnd: (job) => this.#ended(job),
    });
  }

  /** Everything that can be fetched: the manifest's images, then the operator's. */
  async fetchables(): Promise<readonly Fetchable[]> {
    const { manifest, rows } = this.#options;
    const entries = (await manifest.read().catch(() => null))?.entries ?? [];
    const listed = entries.flatMap((entry): Fetchable[] => {
      try {
        const origin = manifest.originOf(entry);
        return [{ name: entry.name, src: entry.src, origin, sha256: entry.sha256, size: entry.sizeBytes }];
      } catch {
        return [];
      }
    });
    const added = rows().map(({ name, src, sha256, size_bytes }): Fetchable => {
      // What a HEAD told may have been of another moment; only the digest counts.
      return {
        name,
        src,
        origin: { kind: 'http', url: src },
        sha256,
        size: sha256 === null ? null : size_bytes,
      };
    });
    return [...listed, ...added];
  }

  /** Asks for the image called `name`. Rejects with DOWNLOAD_UNKNOWN. */
  async ask(name: string): Promise<Job> {
    const found = (await this.fetchables()).find((one) => one.name === name || one.src === name);
    if (!found) throw failure('DOWNLOAD_UNKNOWN', { name });
    return this.#ask(found, false);
  }

  /** The bytes of `sha256` while they come; null when nobody knows where they could come from. */
  async stream(
    sha256: string,
    signal: AbortSignal,
  ): Promise<{ readonly content: Content; readonly name: string } | null> {
    const found = (await this.fetchables()).find((one) => one.sha256 === sha256);
    if (!found) return null;
    const job = await this.#ask(found, true);
    const incoming = this.#incoming.get(job.key);
    if (incoming) {
      await incoming.ready(signal).catch((error: unknown) => {
        signal.throwIfAborted();
        const problem = error instanceof Error ? error.message : String(error);
        throw failure('STORED_IMAGE_UNFETCHED', { key: sha256, problem }, error);
      });
      return { content: incoming.content(), name: found.name };
    }
    const opened = await this.#options.library.open(sha256);
    return opened && { content: opened.content, name: found.name };
  }

  /** Begins to fetch `sha256` when it is not here and somebody knows where it is: a machine will ask for it. */
  async ensure(sha256: string): Promise<Job | null> {
    if (this.#options.library.has(sha256)) return null;
    const found = (await this.fetchables()).find((one) => one.sha256 === sha256);
    return found ? this.#ask(found, true) : null;
  }

  async #ask(fetchable: Fetchable, urgent: boolean): Promise<Job> {
    const { jobs, library } = this.#options;
    const { name, sha256, size } = fetchable;
    const present = jobs.get('download', name);
    if (sha256 !== null && library.cached().has(sha256)) {
      if (present?.status === 'completed') return present;
      const bytes = library.cache.get(sha256)?.state.size ?? 0;
      return jobs.note('download', name, fetchable, { sha256, size: bytes }, bytes);
    }
    if (!present || isSettled(present) || !this.#incoming.has(name))
      this.#incoming.set(name, new Incoming(sha256, size));
    return jobs.ask('download', name, fetchable, { outdated: true, urgent, total: size });
  }

  async #work(job: Job, tools: JobTools): Promise<unknown> {
    const fetchable = job.input as Fetchable;
    const incoming = this.#incoming.get(job.key) ?? new Incoming(fetchable.sha256, fetchable.size);
    this.#incoming.set(job.key, incoming);
    const partial = join(this.#options.folder, partialName(fetchable));
    try {
      return await this.#alone(partial, tools.signal, () => this.#fetch(fetchable, partial, incoming, tools));
    } catch (error) {
      incoming.fail(tools.signal.aborted ? new Error('the download was cancelled') : error);
      throw error;
    }
  }

  async #fetch(
    fetchable: Fetchable,
    partial: string,
    incoming: Incoming,
    tools: JobTools,
  ): Promise<DownloadResult> {
    const { folder, library, backoff, idle } = this.#options;
    const { sha256: expected, size, origin } = fetchable;
    if (expected !== null && library.cached().has(expected)) {
      const bytes = library.cache.get(expected)?.state.size ?? 0;
      tools.progress(bytes, bytes);
      incoming.succeed(join(folder, expected), bytes);
      return { sha256: expected, size: bytes };
    }
    await makeFolder(folder);
    const admit = (bytes: number) => this.#options.admit(bytes, partialName(fetchable));
    if (size !== null) await admit(size);
    const options = {
      admit,
      origin,
      partial,
      folder,
      sha256: expected,
      size,
      ...tools,
      ...(backoff === undefined ? {} : { backoff }),
      ...(idle === undefined ? {} : { idle }),
    };
    const done = await transfer(options, incoming);
    const path = join(folder, done.sha256);
    await rename(partial, path);
    await syncFolder(folder);
    incoming.succeed(path, done.size);
    const handle = await open(path, 'r');
    try {
      const facts = await lookAt(fetchable.name, done.size, readerOf(handle));
      const state = stateOf(await handle.stat({ bigint: true }));
      await library.fetched(done.sha256, { state, sha256: done.sha256, facts });
    } finally {
      await handle.close();
    }
    await this.#options.onFetched(fetchable, done.sha256, done.size);
    return done;
  }

  /** Two names of one image have one partial file: the second waits for the first and finds it done. */
  async #alone<T>(partial: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    for (let before = this.#lanes.get(partial); before; before = this.#lanes.get(partial)) {
      await Promise.race([before, aborted(signal)]);
      signal.throwIfAborted();
    }
    const running = work();
    const lane = running.then(
      () => {},
      () => {},
    );
    this.#lanes.set(partial, lane);
    try {
      return await running;
    } finally {
      if (this.#lanes.get(partial) === lane) this.#lanes.delete(partial);
    }
  }

  #ended(job: Job): void {
    const fetchable = job.input as Fetchable;
    const incoming = this.#incoming.get(job.key);
    if (job.status === 'cancelled') {
      incoming?.fail(new Error('the download was cancelled'));
      const partial = join(this.#options.folder, partialName(fetchable));
      if (!this.#lanes.has(partial)) rm(partial, { force: true }).catch(() => {});
    }
    this.#incoming.delete(job.key);
    if (job.status === 'failed') this.#options.onFailed(job.key, job.error ?? '');
  }
}

function partialName({ sha256, src }: Fetchable): string {
  return `.download-${sha256 ?? createHash('sha256').update(src).digest('hex')}.partial`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
