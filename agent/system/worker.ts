import { getAsset, isSea } from 'node:sea';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { bundleFolder } from './bundle.ts';

/** Worker threads of the agent, each one entry file `agent/<folder>/<name>.worker.ts`. */
const entries = {
  digest: '../flash/digest.worker.ts',
  unpack: '../unpack/unpack.worker.ts',
  bzip2: '../unpack/bzip2.worker.ts',
} as const;
export type WorkerName = keyof typeof entries;
export const workerNames = Object.keys(entries) as readonly WorkerName[];
/** Path of a worker's entry, relative to this folder; the packer bundles each. */
export const workerEntry = (name: WorkerName): string => entries[name];

/**
 * Starts a worker thread: from its source file in a checkout, from the asset of the same name in the single
 * executable (which has no files of its own), from the file of that name in a bundle's folder.
 */
export function startWorker(name: WorkerName, workerData: unknown, options: WorkerOptions = {}): Worker {
  const common: WorkerOptions = { ...options, workerData, stdin: false };
  if (isSea()) return new Worker(getAsset(`${name}.worker.js`, 'utf8'), { ...common, eval: true });
  if (bundleFolder !== null) return new Worker(`${bundleFolder}/${name}.worker.js`, common);
  return new Worker(new URL(entries[name], import.meta.url), common);
}
