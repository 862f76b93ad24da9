import { count, path, text } from './setting.ts';

/** Images, catalog, boot files, jobs. */
export const imageSettings = {
  imageRoot: path(({ stateDir }) => `${stateDir}/images`, 'DIR', 'Where images lie.'),
  bootDir: path(
    ({ stateDir }) => `${stateDir}/boot`,
    'DIR',
    'Where boot files lie: kernel, first root, binaries.',
  ),
  maxUploadBytes: count(
    200 * 1024 ** 3,
    [1, Number.MAX_SAFE_INTEGER],
    'BYTES',
    'Largest file that is taken by upload.',
  ),
  imageQuotaBytes: count(
    0,
    [0, Number.MAX_SAFE_INTEGER],
    'BYTES',
    'Most bytes that images and the cache may use together; 0 sets no limit but the disk.',
  ),
  catalogFile: path(({ stateDir }) => `${stateDir}/catalog.toml`, 'FILE', 'Manifest of images (TOML).'),
  catalogCacheDir: path(({ stateDir }) => `${stateDir}/cache`, 'DIR', 'Where fetched images are kept.'),
  catalogMaxParallel: count(2, [1, 64], 'COUNT', 'Images that are fetched at once.'),
  hashMaxParallel: count(1, [1, 64], 'COUNT', 'Images that are read for their digests at once.'),
  bootReleaseRepo: text(
    null,
    'SOURCE',
    'Where releases of the live system come from: OWNER/NAME, or an http(s) address ({tag} in it stands for the tag).',
  ),
  bootReleaseKey: text(
    null,
    'KEY',
    'Public key (minisign) by which releases of the live system must be signed; without it their digests are believed.',
  ),
} as const;
