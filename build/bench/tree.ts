import { readdirSync, readFileSync } from 'node:fs';

/** What /proc/PID/stat tells of one process (proc_pid_stat(5)). */
export interface ProcessStat {
  readonly pid: number;
  /** Clock ticks that the process itself ran, in user and in kernel mode. */
  readonly ticks: number;
  /** Clock ticks of its children that have ended and were waited for, and of theirs. */
  readonly childTicks: number;
  readonly residentPages: number;
}

/** Clock ticks of /proc a second: USER_HZ, which is 100 on every architecture this runs on. */
export const ticksPerSecond = 100;

/** Null when the text is not that of a living process. */
export function parseStat(text: string): ProcessStat | null {
  // The name of the program stands in brackets and may itself hold brackets and spaces.
  const name = text.lastIndexOf(')');
  const pid = Number.parseInt(text, 10);
  const fields = text.slice(name + 2).split(' ');
  // Fields are counted from 1 in the manual page; the one after the name is field 3.
  const field = (number: number) => Number(fields[number - 3]);
  const stat = {
    pid,
    ticks: field(14) + field(15),
    childTicks: field(16) + field(17),
    residentPages: field(24),
  };
  return name > 0 && Object.values(stat).every(Number.isSafeInteger) ? stat : null;
}

/** Adds up what looks at the processes of one measurement showed. */
export class Ledger {
  #peakPages = 0;
  readonly #ticks = new Map<number, number>();

  /** One look: all processes of the tree that lived at that moment. */
  add(processes: readonly ProcessStat[]): void {
    let pages = 0;
    for (const { pid, ticks, residentPages } of processes) {
      pages += residentPages;
      this.#ticks.set(pid, Math.max(ticks, this.#ticks.get(pid) ?? 0));
    }
    this.#peakPages = Math.max(this.#peakPages, pages);
  }

  /** The most memory that the processes of one look held together, in pages. */
  get peakPages(): number {
    return this.#peakPages;
  }

  /** What all processes that were ever seen had used when they were last seen. */
  get ticks(): number {
    return [...this.#ticks.values()].reduce((sum, ticks) => sum + ticks, 0);
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null; // the process has ended
  }
}

export function readStat(pid: number | 'self'): ProcessStat | null {
  const text = readOrNull(`/proc/${pid}/stat`);
  return text === null ? null : parseStat(text);
}

/** Children of every thread (proc_tid_children(5)): a child belongs to the thread that started it. */
function childrenOf(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return threads.flatMap((thread) =>
    (readOrNull(`/proc/${pid}/task/${thread}/children`) ?? '').split(' ').filter(Boolean).map(Number),
  );
}

/** The processes `roots` and all below them. */
export function descendants(roots: readonly number[]): number[] {
  const found = new Set(roots);
  for (const pid of found) for (const child of childrenOf(pid)) found.add(child);
  return [...found];
}

/** Milliseconds between looks at the memory of known processes. */
const lookMilliseconds = 20;
/** Looks between searches for new processes, which cost a file per thread. */
const looksPerSearch = 5;

/** Looks at the processes `roots()` and all below them until it is stopped. */
export class Watch {
  readonly ledger = new Ledger();
  readonly #roots: () => readonly number[];
  readonly #timer: NodeJS.Timeout;
  #known: readonly number[] = [];
  #looks = 0;

  constructor(roots: () => readonly number[]) {
    this.#roots = roots;
    this.#timer = setInterval(() => this.look(), lookMilliseconds);
  }

  look(): void {
    if (this.#looks++ % looksPerSearch === 0) this.#known = descendants(this.#roots());
    this.ledger.add(this.#known.flatMap((pid) => readStat(pid) ?? []));
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
