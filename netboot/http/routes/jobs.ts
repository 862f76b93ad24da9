/** Background jobs: downloads, digests, releases. */
import { join } from 'node:path';
import {
  type DownloadState,
  type HashState,
  jobOperations,
  type ReleaseFetchState,
} from '../../../shared/contract/job.ts';
import { failure } from '../../../shared/failure.ts';
import type { Fetchable } from '../../images/downloads.ts';
import { quoted } from '../../images/name.ts';
import type { Job } from '../../jobs/job.ts';
import { type Call, json, serve } from '../route.ts';
import type { Routes } from '../server.ts';
import { eventOf } from './images.ts';

export const jobRoutes: Routes = (app, services) => {
  const { images, config, events } = services;
  const { jobs } = images;
  const asked = (call: Call, what: string, job: Job) =>
    events.record({
      ...eventOf(call, `job.${what}`, job.key, `${job.kind} of ${job.key} was ${what}.`, {
        job: job.kind,
        status: job.status,
      }),
      subject: ['job', `${job.kind} ${job.key}`],
    });
  const cancelled = async (call: Call, kind: string, key: string, sentence: string): Promise<Job> => {
    const before = jobs.get(kind, key);
    const job = await jobs.cancel(kind, key);
    if (!job || !before) throw failure('JOB_UNKNOWN', { sentence });
    if (before.status === 'queued' || before.status === 'running') await asked(call, 'cancelled', job);
    return job;
  };

  serve(app, services, jobOperations.downloads, async () => {
    const manifest = await images.manifest.read().catch(() => null);
    const downloads = jobs.list('download').map(downloadState);
    if (manifest === null && downloads.length === 0) return json({ manifest: null, downloads });
    const { catalogCacheDir: cache_dir, catalogMaxParallel: max_parallel } = config;
    return json({ manifest: manifest?.path ?? null, cache_dir, max_parallel, downloads });
  });
  serve(app, services, jobOperations.download, async (call) => {
    const job = await images.downloads.ask(call.body.name);
    await asked(call, 'asked', job);
    return json(downloadState(job), 202);
  });
  serve(app, services, jobOperations.cancelDownload, async (call) => {
    const name = call.params.name ?? '';
    return json(
      downloadState(await cancelled(call, 'download', name, `no active download named ${quoted(name)}`)),
    );
  });

  const hashState = (job: Job) => hashStateOf(job, config.imageRoot);
  serve(app, services, jobOperations.hashes, () => {
    const { imageRoot: image_root, hashMaxParallel: max_parallel } = config;
    return json({ image_root, max_parallel, hashes: jobs.list('hash').map(hashState) });
  });
  serve(app, services, jobOperations.hash, async (call) => {
    const job = await images.library.hash(call.body.name);
    await asked(call, 'asked', job);
    return json(hashState(job), 202);
  });
  serve(app, services, jobOperations.cancelHash, async (call) => {
    const name = call.params.name ?? '';
    return json(hashState(await cancelled(call, 'hash', name, `no active hash named ${quoted(name)}`)));
  });

  serve(app, services, jobOperations.releases, () => {
    const fetches = jobs.list('release').map(releaseState);
    return json({ boot_root: config.bootDir, max_parallel: 1, fetches });
  });
  serve(app, services, jobOperations.release, async (call) => {
    const { tag = 'latest', source = null } = call.body;
    const job = await images.releases.ask(tag, source);
    await asked(call, 'asked', job);
    return json(releaseState(job), 202);
  });
  serve(app, services, jobOperations.cancelRelease, async (call) => {
    const tag = call.params.tag ?? '';
    const sentence = `no active release fetch for tag ${quoted(tag)}`;
    return json(releaseState(await cancelled(call, 'release', tag, sentence)));
  });
};

const seconds = (milliseconds: number | null): number | null =>
  milliseconds === null ? null : milliseconds / 1000;
const timesOf = ({ startedAt, finishedAt, error }: Job) => {
  return { started_at: seconds(startedAt), finished_at: seconds(finishedAt), error };
};

function downloadState(job: Job): DownloadState {
  const { name, src, sha256 } = job.input as Fetchable;
  const found = job.result as { readonly sha256?: string } | null;
  return {
    name,
    sha256: sha256 ?? found?.sha256 ?? null,
    src,
    status: job.status,
    bytes_downloaded: job.done,
    bytes_total: job.total,
    ...timesOf(job),
  };
}

function hashStateOf(job: Job, root: string): HashState {
  const found = job.result as { readonly sha256?: string } | null;
  return {
    name: job.key,
    path: join(root, job.key),
    status: job.status,
    bytes_hashed: job.done,
    bytes_total: job.total ?? 0,
    sha256: found?.sha256 ?? null,
    ...timesOf(job),
  };
}

function releaseState(job: Job): ReleaseFetchState {
  return {
    tag: job.key,
    status: job.status,
    bytes_done: job.done,
    bytes_total: job.total,
    artefact: null,
    ...timesOf(job),
    base_url: (job.input as { readonly base?: string }).base ?? null,
  };
}
