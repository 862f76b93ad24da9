/** Background jobs over HTTP: downloads, digests, releases (bty-contract 3.7). */
import { type Static, Type } from 'typebox';
import { operations } from './operation.ts';

const nullable = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);
const bytes = Type.Integer({ minimum: 0 });
/** Seconds since 1970. */
const seconds = nullable(Type.Number());

export const JobStatus = Type.Union([
  Type.Literal('queued'),
  Type.Literal('running'),
  Type.Literal('completed'),
  Type.Literal('cancelled'),
  Type.Literal('failed'),
]);
const times = { started_at: seconds, finished_at: seconds, error: nullable(Type.String()) };

export const DownloadState = Type.Object({
  name: Type.String(),
  sha256: nullable(Type.String()),
  src: Type.String(),
  status: JobStatus,
  bytes_downloaded: bytes,
  bytes_total: nullable(bytes),
  ...times,
});
export type DownloadState = Static<typeof DownloadState>;

export const HashState = Type.Object({
  name: Type.String(),
  path: Type.String(),
  status: JobStatus,
  bytes_hashed: bytes,
  bytes_total: bytes,
  sha256: nullable(Type.String()),
  ...times,
});
export type HashState = Static<typeof HashState>;

export const ReleaseFetchState = Type.Object({
  tag: Type.String(),
  status: JobStatus,
  bytes_done: bytes,
  bytes_total: nullable(bytes),
  artefact: nullable(Type.String()),
  ...times,
  base_url: nullable(Type.String()),
});
export type ReleaseFetchState = Static<typeof ReleaseFetchState>;

const Named = Type.Object(
  { name: Type.String({ minLength: 1, maxLength: 4096 }) },
  { additionalProperties: false },
);
const ReleaseRequest = Type.Object(
  {
    tag: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9._-]+$', maxLength: 128 })),
    /** `OWNER/NAME` or an http(s) address, instead of the one that is set. */
    source: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
  },
  { additionalProperties: false },
);

export const jobOperations = operations({
  downloads: {
    name: 'download.list',
    method: 'GET',
    path: '/catalog/downloads',
    access: 'read',
    summary: 'Images that are being fetched or were',
    replies: {
      200: {
        sentence: 'Oldest first. Without a manifest and without downloads only the first and the last key.',
        schema: Type.Object({
          manifest: nullable(Type.String()),
          cache_dir: Type.Optional(Type.String()),
          max_parallel: Type.Optional(Type.Integer()),
          downloads: Type.Array(DownloadState),
        }),
      },
    },
  },
  download: {
    name: 'download.start',
    method: 'POST',
    path: '/catalog/downloads',
    access: 'operate',
    summary: 'Fetch an image of the catalog',
    body: { kind: 'json', schema: Named },
    replies: { 202: { sentence: 'It is queued, running or here.', schema: DownloadState } },
  },
  cancelDownload: {
    name: 'download.cancel',
    method: 'DELETE',
    path: '/catalog/downloads/{name}',
    access: 'operate',
    summary: 'Cancel a download',
    replies: { 200: { sentence: 'Its state.', schema: DownloadState } },
  },
  hashes: {
    name: 'hash.list',
    method: 'GET',
    path: '/catalog/hashes',
    access: 'read',
    summary: 'Files that are being read for their digests or were',
    replies: {
      200: {
        sentence: 'Oldest first.',
        schema: Type.Object({
          image_root: Type.String(),
          max_parallel: Type.Integer(),
          hashes: Type.Array(HashState),
        }),
      },
    },
  },
  hash: {
    name: 'hash.start',
    method: 'POST',
    path: '/catalog/hashes',
    access: 'operate',
    summary: 'Read a file for its digest',
    body: { kind: 'json', schema: Named },
    replies: { 202: { sentence: 'It is queued, running or known.', schema: HashState } },
  },
  cancelHash: {
    name: 'hash.cancel',
    method: 'DELETE',
    path: '/catalog/hashes/{name}',
    access: 'operate',
    summary: 'Cancel the reading of a file',
    replies: { 200: { sentence: 'Its state.', schema: HashState } },
  },
  releases: {
    name: 'release.list',
    method: 'GET',
    path: '/boot/releases',
    access: 'read',
    summary: 'Releases of the live system that are being fetched or were',
    replies: {
      200: {
        sentence: 'Oldest first.',
        schema: Type.Object({
          boot_root: Type.String(),
          max_parallel: Type.Integer(),
          fetches: Type.Array(ReleaseFetchState),
        }),
      },
    },
  },
  release: {
    name: 'release.start',
    method: 'POST',
    path: '/boot/releases',
    access: 'operate',
    summary: 'Fetch a release of the live system into the boot directory',
    body: { kind: 'json', schema: ReleaseRequest },
    replies: {
      202: { sentence: 'It is queued or running.', schema: ReleaseFetchState },
      409: { sentence: 'It is not set where releases come from.' },
    },
  },
  cancelRelease: {
    name: 'release.cancel',
    method: 'DELETE',
    path: '/boot/releases/{tag}',
    access: 'operate',
    summary: 'Cancel the fetch of a release',
    replies: { 200: { sentence: 'Its state.', schema: ReleaseFetchState } },
  },
});
