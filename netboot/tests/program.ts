/** `bty-web` as a process of its own, and `curl`. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

const entry = join(import.meta.dirname, '..', 'main.ts');

export interface Program {
  readonly process: ChildProcess;
  readonly url: string;
  /** What it wrote to standard output so far. */
  readonly output: () => string;
  /** Sends `signal` and answers when the process has ended. */
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>;
}

function command(args: readonly string[]): readonly string[] {
  return ['--disable-warning=ExperimentalWarning', entry, ...args];
}

/** Where Node.js keeps compiled modules, which only makes a start faster. */
const { NODE_COMPILE_CACHE } = process.env;
const compiled = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };

/** Starts `bty-web serve` on a port of the system's choice and waits until it listens. */
export function startProgram(
  context: TestContext,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Program> {
  const all = ['serve', '--web-host', '127.0.0.1', '--web-port', '0', '--log-level', 'error', ...args];
  const child = spawn(process.execPath, command(all), {
    env: { PATH: process.env.PATH ?? '', ...compiled, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  context.after(() => void child.kill('SIGKILL'));
  let output = '';
  let errors = '';
  const ended = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
  child.stderr.on('data', (piece) => {
    errors += String(piece);
  });
  return new Promise((resolve, reject) => {
    void ended.then((code) => reject(new Error(`bty-web ended with ${code}: ${errors}`)));
    child.stdout.on('data', (piece) => {
      output += String(piece);
      const url = /listens on (http:\S+)/.exec(output)?.[1];
      if (url === undefined) return;
      resolve({
        process: child,
        url,
        output: () => output,
        end: (signal) => {
          child.kill(signal);
          return ended;
        },
      });
    });
  });
}

export interface Ended {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

function run(program: string, args: readonly string[], environment: NodeJS.ProcessEnv): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(program, args, { env: environment }, (error, output, errors) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, output, errors });
    });
  });
}

/** Runs `bty-web` with `args` to its end. */
export function runProgram(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return run(process.execPath, command(args), { PATH: process.env.PATH, ...compiled, ...environment });
}

/** Runs `curl` with `args`, silently. */
export function curl(args: readonly string[]): Promise<Ended> {
  return run('curl', ['-sS', '--max-time', '300', ...args], { PATH: process.env.PATH });
}
