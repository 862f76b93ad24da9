/**
 * Tries that are given to work that took long, and milliseconds between them: a busy machine stops a program now and
 * then, or lets it wait for the threads that collect its garbage.
 */
const tries = 40;
const between = 25;
const nobody = new Int32Array(new SharedArrayBuffer(4));

/** Milliseconds that `work` takes when nothing else is in its way; it is repeated only where it took a whole one. */
export function leastTime(work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let count = 0; count < tries; count++) {
    const began = performance.now();
    work();
    least = Math.min(least, performance.now() - began);
    if (least < 1) break;
    Atomics.wait(nobody, 0, 0, between);
  }
  return least;
}
