import { commandWords } from './calledas.ts';

/** Threads of the pool beside those of the disks: reading the image, looking at devices, names of hosts. */
const common = 8;
/** A disk may have that many writes or reads in flight, each of which occupies a thread. */
const perDisk = 8;
/** For programs that flash what they are told later. */
const most = 64;

/**
 * How many threads libuv's pool gets, by the words of the command line. All of them start at the first use and take
 * turns, so more than needed cost start-up and cold caches.
 */
export function poolSize(words: readonly string[]): number {
  const [command] = words;
  if (command === 'helper' || command === 'agent') return most;
  if (command === 'tui') return common + perDisk;
  const disks = words.filter((word) => /^--(target|virtual-disk)(=|$)/.test(word)).length;
  return Math.min(most, common + perDisk * disks);
}

/** Import this before anything that reads a file: the size is read once, at the pool's first use (4 by default). */
process.env.UV_THREADPOOL_SIZE ??= String(poolSize(commandWords()));
