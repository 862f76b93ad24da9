/** Tries that are given to work that took long: a busy machine stops a program now and then, and so do compilers. */
const tries = 20;

/** Milliseconds that `work` takes when nothing else is in its way; it is repeated only where it took a whole one. */
export function leastTime(work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let count = 0; count < tries; count++) {
    const began = performance.now();
    work();
    least = Math.min(least, performance.now() - began);
    if (least < 1) break;
  }
  return least;
}
