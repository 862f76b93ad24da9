import { loadKoffi } from '../system/addon.ts';

/**
 * Tries that are given to work that took long, and milliseconds between them: garbage is collected now and then, and
 * the thread takes a part in that.
 */
const tries = 40;
const between = 25;
const nobody = new Int32Array(new SharedArrayBuffer(4));

type ReadClock = (clock: number, into: Uint8Array) => number;
interface Koffi {
  load(path: null): { func(name: string, result: string, args: readonly string[]): ReadClock };
}

/** clock_gettime(2), CLOCK_THREAD_CPUTIME_ID. What Node.js tells of a thread's time is only exact to a tick. */
const threadClock = 3;
let call: ReadClock | null = null;

/** Milliseconds of this thread's processor time so far: however busy the machine is, waiting for it does not count. */
function processorTime(): number {
  call ??= (loadKoffi() as Koffi).load(null).func('clock_gettime', 'int', ['int', 'void *']);
  const time = Buffer.alloc(16);
  if (call(threadClock, time) !== 0) throw new Error('the thread has no clock');
  return Number(time.readBigInt64LE(0)) * 1000 + Number(time.readBigInt64LE(8)) / 1e6;
}

/**
 * Milliseconds that `work` takes when nothing else is in its way: where it took a whole one, it is repeated, and only
 * processor time counts.
 */
export function leastTime(work: () => void): number {
  const began = performance.now();
  work();
  let least = performance.now() - began;
  for (let count = 0; count < tries && least >= 1; count++) {
    if (count > 2) Atomics.wait(nobody, 0, 0, between);
    const before = processorTime();
    work();
    least = Math.min(least, processorTime() - before);
  }
  return least;
}
