import { count, path } from './setting.ts';

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
} as const;
