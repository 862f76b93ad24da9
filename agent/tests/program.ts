/** Runs `bty` as a person does: in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A line of `--progress ndjson`. */
export interface EventLine {
  readonly event: string;
  readonly target?: string;
  readonly code?: string;
  readonly bytes_written?: number;
  readonly [more: string]: unknown;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  readonly lines: readonly EventLine[];
}

export const entry = join(import.meta.dirname, '..', 'main.ts');

export interface Descendant {
  readonly pid: number;
  readonly parent: number;
  /** When it was started; tells it from a later process of the same number. */
  readonly started: string;
}

/** One process as proc_pid_stat(5) tells it, null when it is gone or only waits to be collected. */
async function readStat(name: string): Promise<Descendant | null> {
  const text = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
  // The second field is the name in parentheses, which may hold anything.
  const [state = 'Z', parent, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (state === 'Z') return null;
  return { pid: Number(name), parent: Number(parent), started: rest[17] ?? '' };
}

/** Those of `family` that still live. */
export async function alive(family: readonly Descendant[]): Promise<readonly Descendant[]> {
  const now = await Promise.all(family.map(({ pid }) => readStat(`${pid}`)));
  return family.filter(({ started }, index) => now[index]?.started === started);
}

/** The processes that `pid` has started, and those that they have. */
export async function descendantsOf(pid: number): Promise<readonly Descendant[]> {
  const all = await Promise.all((await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(readStat));
  const found = new Set([pid]);
  // A child may have a lower number than its parent, so the family is looked through until nobody is new.
  for (let before = 0; found.size > before; ) {
    before = found.size;
    for (const one of all) if (one && found.has(one.parent)) found.add(one.pid);
  }
  found.delete(pid);
  return all.filter((one) => one !== null && found.has(one.pid)) as Descendant[];
}

export interface ProgramOptions {
  /** Whether standard input is a pipe of ours; else it is empty. */
  readonly feed?: boolean;
  readonly uid?: number;
  /** Sees every line as soon as it is printed. */
  readonly onLine?: (line: EventLine) => void;
}

/** Milliseconds after which a program is taken for hung and killed. */
const tooLong = 300_000;

/** A running `bty` whose standard output must be JSON lines only. */
export class Program {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #lines: EventLine[] = [];
  #news = Promise.withResolvers<void>();

  constructor(args: readonly string[], { feed = false, uid, onLine }: ProgramOptions = {}) {
    this.#child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry, ...args], {
      stdio: [feed ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    this.pid = this.#child.pid ?? 0;
    this.ended = this.#read(onLine);
    this.ended.catch(() => {});
    // Whoever feeds a program that has ended writes into a closed pipe.
    this.#child.stdin?.on('error', () => {});
  }

  /** Writes to its standard input; resolves when the pipe has taken it, or the program is gone. */
  feed(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.#child.stdin?.write(bytes, () => resolve()));
  }

  endOfInput(): void {
    this.#child.stdin?.end();
  }

  /** Resolves the first line, printed already or to come, that fits; rejects when the program ends without it. */
  async line(fits: (line: EventLine) => boolean): Promise<EventLine> {
    let over = false;
    const end = this.ended.finally(() => {
      over = true;
    });
    end.catch(() => {});
    for (;;) {
      const found = this.#lines.find(fits);
      if (found) return found;
      if (over) {
        const { code, signal, stderr } = await this.ended;
        throw new Error(`bty ended (${signal ?? code}) without the line that was waited for:\n${stderr}`);
      }
      await Promise.race([this.#news.promise, end]);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The processes that it has started, and those that they have. */
  descendants(): Promise<readonly Descendant[]> {
    return descendantsOf(this.pid);
  }

  async #read(onLine: ((line: EventLine) => void) | undefined): Promise<Ended> {
    const { stdout, stderr } = this.#child;
    if (!stdout || !stderr) throw new Error('the program has no output');
    let complaints = '';
    stderr.setEncoding('utf8').on('data', (text: string) => {
      complaints += text;
    });
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      this.#child.kill('SIGKILL');
    }, tooLong);
    const closed = once(this.#child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    try {
      for await (const text of createInterface({ input: stdout })) {
        const line = JSON.parse(text) as EventLine;
        this.#lines.push(line);
        onLine?.(line);
        this.#news.resolve();
        this.#news = Promise.withResolvers();
      }
    } catch (error) {
      this.#child.kill('SIGKILL');
      throw new Error(`bty printed a line that is no JSON:\n${complaints}`, { cause: error });
    } finally {
      await closed;
      clearTimeout(timer);
    }
    const [code, signal] = await closed;
    if (hung) throw new Error(`bty was killed after ${tooLong / 1000} s:\n${complaints}`);
    return { code, signal, stderr: complaints, lines: this.#lines };
  }
}

/** Arguments that flash `image` onto the loop device `target` with progress as JSON lines. */
export function flashArgs(image: string, target: string, ...more: readonly string[]): string[] {
  const what = ['flash', '--image', image, '--target', target];
  return [...what, '--allow-loop', '--yes', '--progress', 'ndjson', ...more];
}

/** Runs `bty` to its end. */
export function runProgram(args: readonly string[], options: ProgramOptions = {}): Promise<Ended> {
  return new Program(args, options).ended;
}
