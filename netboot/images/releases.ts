/** Fetches releases of the live system into the boot directory: all files of a release, verified, or none. */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { redacted } from '../../shared/address.ts';
import { failure } from '../../shared/failure.ts';
import { isSettled, type Job } from '../jobs/job.ts';
import type { JobRunner, JobTools } from '../jobs/runner.ts';
import { makeFolder, syncFolder } from './folders.ts';
import { Incoming } from './incoming.ts';
import { releaseBase, releaseFiles, releaseManifest, releaseSignature } from './release.ts';
import { fetchText, sizeOfRemote } from './remote.ts';
import { type PublicKey, verifySignature } from './signature.ts';
import { transfer } from './transfer.ts';

/** What fetches that were killed leave; they begin anew. */
export const releaseLeftover = /^\.release-[A-Za-z0-9._-]+\.partial$/;

const mostManifestBytes = 64 * 1024;
const mostSignatureBytes = 4 * 1024;

export interface ReleasesOptions {
  readonly bootRoot: string;
  /** `OWNER/NAME` or an address; null when none is set. */
  readonly source: string | null;
  /** Whose signature the list of files must have; null asks for none. */
  readonly key: PublicKey | null;
  readonly jobs: JobRunner;
  readonly onFetched: (tag: string, base: string, files: readonly string[], bytes: number) => void;
  readonly onFailed: (tag: string, base: string | null, error: string) => void;
  readonly backoff?: number;
}

interface Input {
  readonly base: string;
}

export class Releases {
  readonly #options: ReleasesOptions;

  constructor(options: ReleasesOptions) {
    this.#options = options;
    options.jobs.register('release', {
      // Two at once would put files of two releases side by side.
      parallel: 1,
      work: (job, tools) => this.#fetch(job, tools),
      onEnd: (job) => {
        if (job.status === 'failed') options.onFailed(job.key, (job.input as Input).base, job.error ?? '');
      },
    });
  }

  /** Asks for the release `tag`, anew even when it was fetched before: `latest` moves. */
  async ask(tag: string, source: string | null): Promise<Job> {
    const chosen = source ?? this.#options.source;
    const present = this.#options.jobs.get('release', tag);
    if (present && !isSettled(present)) return present;
    if (chosen === null) throw failure('RELEASE_SOURCE_MISSING', {});
    const base = releaseBase(chosen, tag);
    if (base === null) {
      throw failure('RELEASE_INVALID', {
        tag,
        problem: `${redacted(chosen)} is neither OWNER/NAME nor an address`,
      });
    }
    return this.#options.jobs.ask('release', tag, { base } satisfies Input, { outdated: true });
  }

  async #verify(text: string, base: string, tag: string, key: PublicKey, signal: AbortSignal): Promise<void> {
    const url = new URL(releaseSignature, base).href;
    const signature = await fetchText(url, mostSignatureBytes, signal).catch((error: unknown) => {
      throw failure(
        'RELEASE_INVALID',
        { tag, problem: `its signature ${releaseSignature} cannot be had` },
        error,
      );
    });
    const verified = verifySignature(Buffer.from(text), signature, key);
    if (verified.kind === 'invalid') throw failure('RELEASE_INVALID', { tag, problem: verified.problem });
  }

  async #fetch(job: Job, tools: JobTools): Promise<unknown> {
    const { bootRoot, backoff } = this.#options;
    const { base } = job.input as Input;
    const tag = job.key;
    await makeFolder(bootRoot);
    // In the boot directory itself: renaming never crosses file systems.
    const folder = join(bootRoot, `.release-${tag}.partial`);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
    try {
      const text = await fetchText(new URL(releaseManifest, base).href, mostManifestBytes, tools.signal);
      if (this.#options.key !== null) await this.#verify(text, base, tag, this.#options.key, tools.signal);
      const listed = releaseFiles(text);
      if (listed.kind === 'invalid') throw failure('RELEASE_INVALID', { tag, problem: listed.problem });
      const url = (name: string) => new URL(encodeURIComponent(name), base).href;
      const sizes = await Promise.all(listed.files.map(({ name }) => sizeOfRemote(url(name), tools.signal)));
      tools.signal.throwIfAborted();
      const total = sizes.every((size) => size !== null) ? sizes.reduce((sum, size) => sum + size, 0) : null;
      let done = 0;
      tools.progress(0, total);
      for (const { name, sha256 } of listed.files) {
        const before = done;
        const options = {
          origin: { kind: 'http', url: url(name) },
          partial: join(folder, name),
          folder,
          sha256,
          size: null,
          signal: tools.signal,
          progress: (bytes: number) => {
            done = before + bytes;
            tools.progress(done, total);
          },
          ...(backoff === undefined ? {} : { backoff }),
        } as const;
        await transfer(options, new Incoming(sha256, null));
      }
      const manifest = await open(join(folder, releaseManifest), 'wx', 0o644);
      await manifest.writeFile(text);
      await manifest.sync();
      await manifest.close();
      tools.signal.throwIfAborted();
      // The manifest last: where it is, all of its files are.
      const names = [...listed.files.map(({ name }) => name), releaseManifest];
      for (const name of names) await rename(join(folder, name), join(bootRoot, name));
      await syncFolder(bootRoot);
      this.#options.onFetched(tag, base, names, done);
      return { files: names };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}
