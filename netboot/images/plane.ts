/** Everything about images as one thing: what is here, what is known, what is being fetched, who may add how much. */
import { join } from 'node:path';
import { failure } from '../../shared/failure.ts';
import type { Config } from '../config/settings.ts';
import type { Hub } from '../events/hub.ts';
import type { EventLog, NewEvent } from '../events/log.ts';
import { type Content, FileSender } from '../http/file.ts';
import { JobRunner } from '../jobs/runner.ts';
import type { Log } from '../log.ts';
import type { Database } from '../store/database.ts';
import { SqlFactStore } from '../store/facts.ts';
import { SqlJobStore } from '../store/jobs.ts';
import { SqlRowStore } from '../store/rows.ts';
import { Downloads, downloadLeftover } from './downloads.ts';
import type { RowStore } from './entry.ts';
import type { FileFacts } from './folder.ts';
import { sweep } from './folders.ts';
import { Library, type OpenedImage } from './library.ts';
import { ManifestFile } from './manifest.ts';
import { digestOf } from './name.ts';
import { type Limits, uploadLeftover } from './receive.ts';
import { Releases, releaseLeftover } from './releases.ts';
import { ResumableUploads, resumeLeftover } from './resume.ts';
import { takenBytes } from './room.ts';
import { type PublicKey, parsePublicKey } from './signature.ts';
import { type UnifiedImage, unify } from './unify.ts';

/** What the image plane needs of the rest of the appliance. */
export interface PlaneNeeds {
  readonly config: Pick<
    Config,
    | 'imageRoot'
    | 'bootDir'
    | 'maxUploadBytes'
    | 'imageQuotaBytes'
    | 'catalogFile'
    | 'catalogCacheDir'
    | 'catalogMaxParallel'
    | 'hashMaxParallel'
    | 'bootReleaseRepo'
    | 'bootReleaseKey'
  >;
  readonly database: Database;
  readonly events: EventLog;
  readonly hub: Hub;
  readonly log: Log;
  readonly clock: () => number;
}

/** What is told of the image with a digest, for whoever sends a machine to it. */
export interface FoundImage {
  readonly sha256: string;
  /** File name, for the address and for telling the format. */
  readonly name: string;
  /** Wire name of the format, null when nobody knows. */
  readonly format: string | null;
  /** Stored bytes. */
  readonly sizeBytes: number | null;
  /** Bytes of the disk inside. */
  readonly virtualBytes: number | null;
  /** Its bytes are here. */
  readonly here: boolean;
}

const minute = 60_000;
const day = 24 * 60 * minute;
const idleMilliseconds = minute;

export class ImagePlane {
  readonly sender = new FileSender();
  readonly jobs: JobRunner;
  readonly library: Library;
  readonly manifest: ManifestFile;
  readonly rows: RowStore;
  readonly downloads: Downloads;
  readonly releases: Releases;
  readonly resumable: ResumableUploads;
  readonly #needs: PlaneNeeds;
  #sweeper: NodeJS.Timeout | null = null;

  constructor(needs: PlaneNeeds) {
    this.#needs = needs;
    const { config, database, log } = needs;
    const onFault = (error: unknown): void => log.warn('images', { problem: wordsOf(error) });
    this.jobs = new JobRunner(new SqlJobStore(database), {
      now: needs.clock,
      onFault,
      onChange: (job) => needs.hub.publish({ kind: 'job', key: `${job.kind} ${job.key}`, job }),
    });
    this.manifest = new ManifestFile(config.catalogFile);
    this.rows = new SqlRowStore(database);
    this.library = new Library({
      imageRoot: config.imageRoot,
      cacheRoot: config.catalogCacheDir,
      facts: new SqlFactStore(database),
      jobs: this.jobs,
      hashParallel: config.hashMaxParallel,
      onChange: () => needs.hub.publish({ kind: 'images' }),
      onHashed: (name, known) => this.#hashed(name, known),
      onHashFailed: (name, error) =>
        this.#tell('image.hash_failed', name, `The digest of ${name} could not be computed.`, { error }),
      onFault,
    });
    this.downloads = new Downloads({
      folder: config.catalogCacheDir,
      parallel: config.catalogMaxParallel,
      jobs: this.jobs,
      library: this.library,
      manifest: this.manifest,
      rows: () => this.rows.all(),
      admit: (bytes, partial) => this.#admit(bytes, partial),
      onFetched: async ({ name, src, sha256: expected }, sha256, size) => {
        const event = systemEvent('image.fetched', name, `${name} was fetched (${size} bytes).`, {
          src,
          sha256,
          size_bytes: size,
        });
        await database.write(() => {
          if (expected === null) this.rows.learn(src, sha256, size);
          needs.events.append(event);
        });
      },
      onFailed: (name, error) =>
        this.#tell('image.fetch_failed', name, `${name} could not be fetched.`, { error }),
    });
    this.releases = new Releases({
      bootRoot: config.bootDir,
      source: config.bootReleaseRepo,
      key: releaseKey(config.bootReleaseKey),
      jobs: this.jobs,
      onFetched: (tag, base, files, bytes) =>
        this.#tellBoot(
          'boot.release.fetched',
          tag,
          `The release ${tag} was fetched (${files.length} files).`,
          {
            base_url: base,
            files,
            bytes,
          },
        ),
      onFailed: (tag, base, error) =>
        this.#tellBoot('boot.release.fetch_failed', tag, `The release ${tag} could not be fetched.`, {
          base_url: base,
          error,
        }),
    });
    this.resumable = new ResumableUploads(config.imageRoot);
  }

  /** Looks at what is here, removes what a killed program left, and goes on with what was being done. */
  async start(): Promise<void> {
    await this.#sweep(0);
    await this.manifest.read().catch((error: unknown) => {
      this.#needs.log.warn('catalog', { problem: wordsOf(error) });
    });
    await this.library.start();
    this.jobs.start();
    this.#sweeper = setInterval(() => {
      this.#sweep(day).catch((error: unknown) => this.#needs.log.warn('images', { problem: wordsOf(error) }));
    }, 60 * minute).unref();
  }

  async close(): Promise<void> {
    if (this.#sweeper) clearInterval(this.#sweeper);
    this.library.close();
    await this.jobs.stop();
  }

  /** All images of all sources, after a fresh look. */
  async list(): Promise<UnifiedImage[]> {
    await Promise.all([this.library.refresh(), this.manifest.read().catch(() => null)]);
    return this.known();
  }

  /** The same as of the last look. */
  known(): UnifiedImage[] {
    return unify({
      local: this.library.local(),
      manifest: this.manifest.last?.entries ?? [],
      rows: this.rows.all(),
      cached: this.library.cached(),
    });
  }

  /** What is known of the image with a digest, as of the last look; null when nobody knows it. */
  find(sha256: string): FoundImage | null {
    const local = this.library.images.byDigest(sha256);
    const entry = this.manifest.last?.entries.find((one) => one.sha256 === sha256);
    const row = local || entry ? undefined : this.rows.all().find((one) => one.sha256 === sha256);
    const cached = this.library.cache.get(sha256);
    const here = local !== undefined || cached?.known?.sha256 === sha256;
    const name = local?.name ?? entry?.name ?? row?.name ?? (here ? 'image.img' : null);
    if (name === null) return null;
    const facts = local?.known?.facts ?? (cached?.known?.sha256 === sha256 ? cached.known.facts : null);
    return {
      sha256,
      name,
      format: facts?.format || entry?.format || row?.format || null,
      sizeBytes: local?.state.size ?? cached?.state.size ?? entry?.sizeBytes ?? row?.size_bytes ?? null,
      virtualBytes: facts?.virtualBytes ?? null,
      here,
    };
  }

  /** Begins to fetch an image that a machine will ask for, when it is not here. */
  ensure(sha256: string): void {
    this.downloads.ensure(sha256).catch((error: unknown) => {
      this.#needs.log.warn('images', { problem: wordsOf(error) });
    });
  }

  /**
   * Opens an image by file name or digest, also one that has to be fetched first. Rejects with STORED_IMAGE_UNKNOWN,
   * STORED_IMAGE_UNFETCHED, or the signal's reason.
   */
  async open(key: string, signal: AbortSignal): Promise<OpenedImage> {
    const sha256 = digestOf(key);
    if (sha256 !== null) await this.library.settleCached(sha256, signal);
    const here = await this.library.open(key);
    if (here) return here;
    const coming: { readonly content: Content; readonly name: string } | null =
      sha256 === null ? null : await this.downloads.stream(sha256, signal);
    if (coming) return coming;
    throw failure('STORED_IMAGE_UNKNOWN', { key: key.slice(0, 300) });
  }

  /** What an upload into a folder may hold. Boot files do not count as images. */
  limits(kind: 'image' | 'boot'): Limits {
    const { maxUploadBytes, imageQuotaBytes } = this.#needs.config;
    const quota: Limits['quota'] = async (except) =>
      imageQuotaBytes === 0 ? null : { used: await this.usedBytes(except), quota: imageQuotaBytes };
    return {
      maxBytes: maxUploadBytes,
      quota: kind === 'image' ? quota : () => Promise.resolve(null),
      idleMilliseconds,
    };
  }

  /** Bytes that images and the cache use, with what is being uploaded and fetched, without files called `except`. */
  async usedBytes(except: ReadonlySet<string> = new Set()): Promise<number> {
    const { imageRoot, catalogCacheDir } = this.#needs.config;
    const used = await Promise.all([takenBytes(imageRoot, except), takenBytes(catalogCacheDir, except)]);
    return used.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Rejects with STORE_QUOTA; answers how many more bytes there may be. */
  async #admit(needed: number, partial: string): Promise<number> {
    const room = await this.limits('image').quota(new Set([partial]));
    if (room && room.used + needed > room.quota) throw failure('STORE_QUOTA', { ...room, needed });
    return room ? room.quota - room.used - needed : Number.POSITIVE_INFINITY;
  }

  #hashed(name: string, { sha256, state }: FileFacts): void {
    const details = { name, sha256, bytes: state.size };
    this.#tell('image.hashed', name, `The digest of ${name} is ${sha256}.`, details);
  }

  #tell(kind: string, name: string, summary: string, details: Readonly<Record<string, unknown>>): void {
    this.#record(systemEvent(kind, name, summary, details));
  }

  #tellBoot(kind: string, tag: string, summary: string, details: Readonly<Record<string, unknown>>): void {
    this.#record({ kind, subject: ['boot', tag], actor: 'system', address: null, summary, details });
  }

  #record(event: NewEvent): void {
    this.#needs.events.record(event).catch((error: unknown) => {
      this.#needs.log.error('events', { kind: event.kind, problem: wordsOf(error) });
    });
  }

  /** `milliseconds`: nothing younger is touched; at the start no upload can be running. */
  async #sweep(milliseconds: number): Promise<void> {
    const { imageRoot, bootDir, catalogCacheDir } = this.#needs.config;
    await sweep(imageRoot, uploadLeftover, milliseconds);
    await sweep(bootDir, uploadLeftover, milliseconds);
    await sweep(imageRoot, resumeLeftover, 7 * day);
    await sweep(catalogCacheDir, downloadLeftover, 14 * day);
    if (milliseconds === 0) await sweep(bootDir, releaseLeftover, 0);
  }
}

function systemEvent(
  kind: string,
  name: string,
  summary: string,
  details: Readonly<Record<string, unknown>>,
): NewEvent {
  return { kind, subject: ['image', name], actor: 'system', address: null, summary, details };
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Path of an image file, for answers. */
export function imagePath(plane: ImagePlane, name: string): string {
  return join(plane.library.images.path, name);
}

function releaseKey(text: string | null): PublicKey | null {
  if (text === null) return null;
  const key = parsePublicKey(text);
  if (key !== null) return key;
  const problem = 'it is no public key of minisign (the second line of minisign.pub)';
  throw failure('SETTING_INVALID', { name: 'boot_release_key', origin: 'the settings', problem });
}
