import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { readStat, ticksPerSecond, Watch } from './tree.ts';

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];
/** Programs that run at once, each reading what the one before it writes. */
export type Pipeline = readonly Command[];

export interface Usage {
  /** Seconds from before the first start to after the last end. */
  readonly wall: number;
  /** CPU seconds in user and kernel mode of all programs and what they started. */
  readonly cpu: number;
  /** Most bytes of memory that all programs of one moment held, looked at every 20 ms. */
  readonly peak: number;
}

/** Milliseconds that a program gets to end after SIGTERM. */
const patience = 5000;
const keptError = 2000;

/** The environment without variables that change how Node.js runs, which also is what we measure. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_')),
);

let knownPageBytes: number | undefined;
/** Bytes of a page of memory: 4096, on some arm64 kernels 16384 or 65536. */
function pageBytes(): number {
  knownPageBytes ??= Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));
  return knownPageBytes;
}

/**
 * Runs pipelines one after another and measures them as one piece of work. Fails with the words of the first
 * program that does not end with 0. An abort ends what runs, waits for it, and fails with the signal's reason.
 */
export async function measure(pipelines: readonly Pipeline[], signal?: AbortSignal): Promise<Usage> {
  const pids: number[] = [];
  const pipes = pipelines.map((commands) => commands.slice(1).map(makePipe));
  const page = pageBytes();
  const ticksBefore = endedTicks();
  const watch = new Watch(() => pids);
  const began = process.hrtime.bigint();
  try {
    for (const [index, commands] of pipelines.entries()) {
      await runPipeline(commands, pipes[index] ?? [], pids, () => watch.look(), signal);
    }
  } finally {
    watch.stop();
    for (const pipe of pipes.flat()) pipe.close();
  }
  const wall = Number(process.hrtime.bigint() - began) / 1e9;
  // What was waited for is counted exactly; a process whose parent did not wait for it shows only while it lived.
  const ticks = Math.max(endedTicks() - ticksBefore, watch.ledger.ticks);
  return { wall, cpu: ticks / ticksPerSecond, peak: watch.ledger.peakPages * page };
}

/** Clock ticks of all children that this process has waited for, and of all that those waited for. */
function endedTicks(): number {
  return readStat('self')?.childTicks ?? 0;
}

async function runPipeline(
  commands: Pipeline,
  pipes: readonly Pipe[],
  pids: number[],
  look: () => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const children: ChildProcess[] = [];
  const ends: Promise<string | null>[] = [];
  const stop = () => {
    for (const child of children) child.kill('SIGTERM');
    setTimeout(() => {
      for (const child of children) child.kill('SIGKILL');
    }, patience).unref();
  };
  signal?.addEventListener('abort', stop);
  try {
    for (const [index, [program, ...args]] of commands.entries()) {
      const input = pipes[index - 1]?.readEnd ?? 'ignore';
      const output = pipes[index]?.writeEnd ?? 'ignore';
      const child = spawn(program, args, { stdio: [input, output, 'pipe'], env: environment });
      children.push(child);
      ends.push(problemOf(child, program));
      if (child.pid !== undefined) pids.push(child.pid);
    }
    // A reader sees the end of its input only when nobody else holds the end that is written to.
    for (const pipe of pipes) pipe.close();
    look();
    // When a reader fails, those before it only end of SIGPIPE: the last problem is the cause.
    const problem = (await Promise.all(ends)).findLast((found) => found !== null);
    signal?.throwIfAborted();
    if (problem) throw new Error(problem);
  } catch (error) {
    // spawn itself may fail, for example with ETXTBSY, when others of the pipeline run already.
    stop();
    await Promise.all(ends);
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** Null once the child has ended well, else what went wrong. */
function problemOf(child: ChildProcess, program: string): Promise<string | null> {
  let said = '';
  const name = basename(program);
  child.stderr?.on('data', (bytes: Buffer) => {
    said = (said + bytes.toString('latin1')).slice(-keptError);
  });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`${name} could not be started: ${error.message}`));
    child.once('exit', (code, ended) => {
      child.stderr?.destroy();
      if (code === 0) resolve(null);
      else resolve(`${name} ended with ${ended ?? code}: ${said.trim() || 'it said nothing'}`);
    });
  });
}

interface Pipe {
  readonly readEnd: number;
  readonly writeEnd: number;
  /** Closes this process's ends; a second call does nothing. */
  close(): void;
}

/**
 * A pipe as a shell makes one. What Node.js puts between two processes is a socket pair, which is slower, so a
 * FIFO is opened at both ends and its name removed: pipe(7) says that I/O on both has the same semantics.
 */
function makePipe(): Pipe {
  const folder = mkdtempSync(join(tmpdir(), 'bty-pipe-'));
  try {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    // fifo(7): opened for both directions it does not wait for the other side, and then neither do the others.
    const both = openSync(path, constants.O_RDWR);
    const readEnd = openSync(path, constants.O_RDONLY);
    const writeEnd = openSync(path, constants.O_WRONLY);
    closeSync(both);
    let open = true;
    const close = () => {
      if (open) for (const end of [readEnd, writeEnd]) closeSync(end);
      open = false;
    };
    return { readEnd, writeEnd, close };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
