import type { WorkerOptions } from 'node:worker_threads';

/**
 * For threads that work on shared memory and keep few objects: V8 lets the young objects of each thread grow to tens
 * of MiB before it looks at them.
 */
export const smallHeap: WorkerOptions = { resourceLimits: { maxYoungGenerationSizeMb: 1 } };
