/** The images that lie here: the image directory and the cache, each file with its true digest. */
import { link, lstat, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { formatByName } from '../../shared/descriptor.ts';
import { failure } from '../../shared/failure.ts';
import { guessByName } from '../../shared/image.ts';
import { fileContent, sameState, stateOf } from '../http/content.ts';
import type { Content } from '../http/file.ts';
import type { Job } from '../jobs/job.ts';
import type { JobRunner, JobTools } from '../jobs/runner.ts';
import { type FactStore, type FileFacts, Folder } from './folder.ts';
import { syncFolder } from './folders.ts';
import { hashFile } from './hash.ts';
import { lookAt, readerOf } from './look.ts';
import { digestOf, imageName, isPlainName } from './name.ts';
import type { Received } from './receive.ts';
import { readSidecar, writeSidecar } from './sidecar.ts';
import type { LocalFile } from './unify.ts';
import { gunzipToNowhere } from './unpack.ts';
import { codeOf } from './words.ts';

export interface LibraryOptions {
  readonly imageRoot: string;
  readonly cacheRoot: string;
  readonly facts: FactStore;
  readonly jobs: JobRunner;
  readonly hashParallel: number;
  readonly onChange: () => void;
  /** Told of every digest that was computed, and of every file that could not be read. */
  readonly onHashed: (name: string, known: FileFacts) => void;
  readonly onHashFailed: (name: string, error: string) => void;
  readonly onFault: (error: unknown) => void;
  /** Milliseconds between looks that nothing else caused. */
  readonly every?: number;
}

/** A file with the name that it is saved under. */
export interface OpenedImage {
  readonly content: Content;
  readonly name: string;
}

/** True for the names that are listed as images (bty-contract 1.2, and our further formats). */
export function isImageName(name: string): boolean {
  const guess = guessByName(name);
  return isPlainName(name) && guess?.kind === 'image' && guess.layout !== null;
}

const forever = new AbortController().signal;

export class Library {
  readonly images: Folder;
  readonly cache: Folder;
  readonly #options: LibraryOptions;

  constructor(options: LibraryOptions) {
    this.#options = options;
    const { facts, onFault, every } = options;
    const shared = {
      facts,
      onFault,
      ...(every === undefined ? {} : { every }),
      onChange: () => this.#changed(),
    };
    this.images = new Folder({ ...shared, path: options.imageRoot, label: 'images', accepts: isImageName });
    const isCached = (name: string) => digestOf(name) === name;
    this.cache = new Folder({ ...shared, path: options.cacheRoot, label: 'cache', accepts: isCached });
    const { jobs, hashParallel } = options;
    jobs.register('hash', {
      parallel: hashParallel,
      work: (job, tools) => this.#hash(job, tools),
      onEnd: (job) => {
        if (job.status === 'failed') options.onHashFailed(job.key, job.error ?? '');
      },
    });
    jobs.register('check', { parallel: 1, work: (job, tools) => this.#check(job, tools) });
    jobs.register('verify', { parallel: 1, work: (job, tools) => this.#verify(job, tools) });
  }

  async start(): Promise<void> {
    await this.refresh();
    this.images.watch();
    this.cache.watch();
  }

  async refresh(): Promise<void> {
    await Promise.all([this.images.refresh(), this.cache.refresh()]);
  }

  close(): void {
    this.images.close();
    this.cache.close();
  }

  /** Files of the image directory as of the last look. */
  local(): LocalFile[] {
    return this.images.files().map(({ name, path, state, known }) => ({
      name,
      path,
      size: state.size,
      sha256: known?.sha256 ?? null,
      format: known?.facts.format || (formatByName(name) ?? ''),
      virtualBytes: known?.facts.virtualBytes ?? null,
      problem: known?.facts.problem ?? null,
      checked: known?.facts.checked ?? false,
    }));
  }

  /** Digests whose bytes are in the cache and were verified. */
  cached(): ReadonlySet<string> {
    return new Set(this.cache.files().flatMap(({ name, known }) => (known?.sha256 === name ? [name] : [])));
  }

  /** True when the bytes of that digest are here. */
  has(sha256: string): boolean {
    return this.cache.get(sha256)?.known?.sha256 === sha256 || this.images.byDigest(sha256) !== undefined;
  }

  /** Opens a file by its name, or by the digest of what it holds now; null when there is none. */
  async open(key: string): Promise<OpenedImage | null> {
    const sha256 = digestOf(key);
    // A digest means the bytes that have it, whatever a file is named.
    if (sha256 === null) {
      const found = isPlainName(key) ? await this.images.open(key) : null;
      return found && { content: fileContent(found.opened, found.sha256), name: key };
    }
    for (let look = 0; look < 2; look++) {
      const found = (await this.#openCached(sha256)) ?? (await this.#openLocal(sha256));
      if (found) return found;
      // The list may be older than the folder.
      if (look === 0) await this.refresh();
    }
    return null;
  }

  /** Waits for the check of a file that somebody else put into the cache. */
  async settleCached(sha256: string, signal: AbortSignal): Promise<void> {
    const file = this.cache.get(sha256);
    if (!file || file.known) return;
    await this.#options.jobs.ask('verify', sha256, null, { outdated: true, urgent: true });
    await this.#options.jobs.settled('verify', sha256, signal);
  }

  /** Takes note of a file that was received with its digest computed on the way. */
  async received(name: string, { path, size, sha256, state }: Received): Promise<FileFacts | null> {
    const found = await this.images.open(name);
    if (found === null) return null;
    try {
      // Somebody replaced it already: it will be read like any other.
      if (!sameState(found.opened.state, state)) return null;
      const facts = await lookAt(name, size, readerOf(found.opened.handle));
      const known = { state, sha256, facts };
      if (isImageName(name)) await writeSidecar(path, sha256).catch(this.#options.onFault);
      await this.images.remember(name, known);
      await this.#askCheck('images', name, known);
      await this.#options.jobs.note('hash', name, null, { sha256 }, size);
      return known;
    } finally {
      await found.opened.handle.close();
    }
  }

  /** Takes note of a file in the cache whose digest was verified on the way. */
  async fetched(sha256: string, facts: FileFacts): Promise<void> {
    await this.cache.remember(sha256, facts);
    await this.#askCheck('cache', sha256, facts);
  }

  /** Asks for the digest of a file; one that is known already costs nothing. Rejects with HASH_FILE_UNKNOWN. */
  async hash(name: string): Promise<Job> {
    const plain = isPlainName(name);
    const found = plain ? await this.images.open(name) : null;
    // Of what lies elsewhere nothing is told but what was asked.
    if (found === null) {
      throw failure('HASH_FILE_UNKNOWN', { path: plain ? join(this.images.path, name) : name });
    }
    await found.opened.handle.close();
    const total = found.opened.state.size;
    return this.#options.jobs.ask('hash', name, null, { outdated: found.sha256 === null, total });
  }

  /** Deletes a file of the image directory by name, or one of the cache by digest. Answers what it was. */
  async remove(
    key: string,
  ): Promise<{ readonly name: string; readonly size: number; readonly sha256: string | null }> {
    const sha256 = digestOf(key);
    const cached = sha256 === null ? undefined : this.cache.get(sha256);
    if (sha256 !== null && (await this.#removeFrom(this.cache, sha256))) {
      await this.cache.refresh();
      return { name: sha256, size: cached?.state.size ?? 0, sha256 };
    }
    if (isPlainName(key) && (await this.#removeFrom(this.images, key))) {
      const known = this.images.get(key);
      await rm(join(this.images.path, `${key}.sha256`), { force: true }).catch(this.#options.onFault);
      await this.#options.jobs.cancel('hash', key);
      await this.images.refresh();
      return { name: key, size: known?.state.size ?? 0, sha256: known?.known?.sha256 ?? null };
    }
    throw failure('STORED_IMAGE_UNKNOWN', { key });
  }

  /** Gives a file of the image directory another name. Rejects with STORED_IMAGE_UNKNOWN, STORED_IMAGE_EXISTS. */
  async rename(name: string, wanted: string): Promise<void> {
    const [from, to] = [join(this.images.path, name), join(this.images.path, imageName(wanted))];
    const present = isPlainName(name) ? await lstat(from).catch(() => null) : null;
    if (!present?.isFile()) throw failure('STORED_IMAGE_UNKNOWN', { key: name });
    const before = this.images.remembered(name);
    await renameNew(from, to, wanted).catch((error: unknown) => {
      // Somebody else removed or renamed it in the same moment.
      throw codeOf(error) === 'ENOENT' ? failure('STORED_IMAGE_UNKNOWN', { key: name }, error) : error;
    });
    await rm(`${from}.sha256`, { force: true }).catch(this.#options.onFault);
    await syncFolder(this.images.path);
    const found = await lstat(to, { bigint: true }).catch(() => null);
    const now = found && stateOf(found);
    // The new name is a change of the file only to its directory.
    if (before && now && sameState({ ...before.state, changed: now.changed }, now)) {
      if (isImageName(wanted)) await writeSidecar(to, before.sha256).catch(this.#options.onFault);
      const opened = await this.images.open(wanted);
      if (opened) {
        const facts = await lookAt(wanted, now.size, readerOf(opened.opened.handle)).finally(() =>
          opened.opened.handle.close(),
        );
        await this.images.remember(wanted, { state: now, sha256: before.sha256, facts });
      }
    }
    await this.images.refresh();
  }

  async #removeFrom(folder: Folder, name: string): Promise<boolean> {
    const path = join(folder.path, name);
    const present = await lstat(path).catch(() => null);
    if (!present?.isFile()) return false;
    try {
      await unlink(path);
    } catch (error) {
      // Somebody else removed it in the same moment.
      if (codeOf(error) === 'ENOENT') return false;
      throw error;
    }
    await syncFolder(folder.path);
    return true;
  }

  async #openCached(sha256: string): Promise<OpenedImage | null> {
    await this.settleCached(sha256, forever);
    const found = await this.cache.open(sha256);
    if (found === null) return null;
    if (found.sha256 === sha256) return { content: fileContent(found.opened, sha256), name: sha256 };
    await found.opened.handle.close();
    return null;
  }

  async #openLocal(sha256: string): Promise<OpenedImage | null> {
    const file = this.images.byDigest(sha256);
    if (file === undefined) return null;
    const found = await this.images.open(file.name);
    if (found === null) return null;
    if (found.sha256 === sha256) return { content: fileContent(found.opened, sha256), name: file.name };
    await found.opened.handle.close();
    return null;
  }

  #changed(): void {
    const { jobs, onFault, onChange } = this.#options;
    for (const { name, state, known } of this.images.files()) {
      if (known) continue;
      jobs.ask('hash', name, null, { outdated: true, total: state.size }).catch(onFault);
    }
    for (const { name, known } of this.cache.files()) {
      if (!known) jobs.ask('verify', name, null, { outdated: true }).catch(onFault);
    }
    onChange();
  }

  async #hash(job: Job, tools: JobTools): Promise<unknown> {
    const name = job.key;
    const path = join(this.images.path, name);
    const before = this.images.remembered(name);
    const known = await hashFile(path, name, tools);
    const problem = await this.#reconcile(path, known, before);
    const kept = problem === null ? known : { ...known, facts: { ...known.facts, problem } };
    await this.images.remember(name, kept);
    await this.#askCheck('images', name, kept);
    this.#options.onHashed(name, kept);
    return { sha256: kept.sha256 };
  }

  /** Brings the sidecar in line with the content; null, or why it was left: somebody else says otherwise. */
  async #reconcile(path: string, known: FileFacts, before: FileFacts | undefined): Promise<string | null> {
    const claim = await readSidecar(path);
    if (claim?.sha256 === known.sha256) return known.facts.problem;
    const outdated =
      claim === null || claim.sha256 === before?.sha256 || claim.modified < BigInt(known.state.modified);
    if (!outdated) return `the file ${path}.sha256 says that its SHA-256 is ${claim.sha256}`;
    // A directory that cannot be written keeps its images all the same.
    await writeSidecar(path, known.sha256).catch((error: unknown) => {
      if (codeOf(error) === null) throw error;
    });
    return known.facts.problem;
  }

  /** Only unpacking tells how large the disk in a gz is; that takes its time, and nobody waits for it. */
  async #askCheck(label: 'images' | 'cache', name: string, { facts, state }: FileFacts): Promise<void> {
    if (facts.checked || facts.problem !== null || facts.packing !== 'gz') return;
    await this.#options.jobs.ask('check', `${label}/${name}`, null, { outdated: true, total: state.size });
  }

  async #check(job: Job, tools: JobTools): Promise<unknown> {
    const [label = '', name = ''] = job.key.split('/');
    const folder = label === 'cache' ? this.cache : this.images;
    const found = await folder.open(name);
    const known = folder.remembered(name);
    try {
      // It changed since: what it is now is looked at anew.
      if (!found || !known || found.sha256 !== known.sha256) return null;
      const { handle, state } = found.opened;
      const unpacked = await gunzipToNowhere(handle, tools.signal, (stored) =>
        tools.progress(stored, state.size),
      );
      if (!sameState(state, stateOf(await handle.stat({ bigint: true })))) return null;
      const whole = unpacked.kind === 'whole';
      const layout = known.facts.format.startsWith('qcow2') ? 'qcow2' : 'raw';
      const facts = {
        ...known.facts,
        checked: whole,
        virtualBytes: whole && layout === 'raw' ? unpacked.bytes : null,
        problem: whole ? null : unpacked.problem,
      };
      await folder.remember(name, { ...known, facts });
      return { bytes: whole ? unpacked.bytes : null };
    } finally {
      await found?.opened.handle.close();
    }
  }

  async #verify(job: Job, tools: JobTools): Promise<unknown> {
    const known = await hashFile(join(this.cache.path, job.key), job.key, tools);
    await this.cache.remember(job.key, known);
    if (known.sha256 !== job.key) {
      throw failure('DIGEST_MISMATCH', { image: job.key, expected: job.key, actual: known.sha256 });
    }
    return { sha256: known.sha256 };
  }
}

/** Renames without ever replacing: a link fails where something is, a rename does not. */
async function renameNew(from: string, to: string, wanted: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') throw failure('STORED_IMAGE_EXISTS', { name: wanted }, error);
    // File systems of sticks know no links.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'EMLINK') throw error;
    if (await lstat(to).catch(() => null)) throw failure('STORED_IMAGE_EXISTS', { name: wanted }, error);
    return rename(from, to);
  }
  await unlink(from).catch(async (error: unknown) => {
    await rm(to, { force: true });
    throw error;
  });
}
