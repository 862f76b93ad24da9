/** Helpers of the tests that run the real command line. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

export const program = fileURLToPath(new URL('../main.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  /** Descriptors to use instead of pipes. */
  readonly stdin?: number;
  readonly stdout?: number;
  /** What comes on standard input; nothing unless given. `open` leaves it open, with nothing to read. */
  readonly input?: Uint8Array | 'open';
  /** A module that the program loads before itself. */
  readonly preload?: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Starts the command line as a person does; BTY_ variables of the machine stay outside. */
export function start(args: readonly string[], surroundings: Surroundings = {}): Running {
  const { env = {}, stdin, stdout, input, preload } = surroundings;
  const clean = Object.entries(process.env).filter(([name]) => !/^BTY_|^NODE_(?!COMPILE_CACHE$)/.test(name));
  const options = ['--disable-warning=ExperimentalWarning', ...(preload ? ['--import', preload] : [])];
  const child = spawn(process.execPath, [...options, program, ...args], {
    stdio: [stdin ?? (input ? 'pipe' : 'ignore'), stdout ?? 'pipe', 'pipe'],
    env: { ...Object.fromEntries(clean), ...env },
  });
  // The program may end before it has read everything.
  child.stdin?.on('error', () => {});
  if (input && input !== 'open') child.stdin?.end(input);
  const told = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    told.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    told.stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...told }));
  });
  return { child, ended };
}

/** Runs the command line to its end. */
export function bty(args: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  return start(args, surroundings).ended;
}

/** A directory that is removed after the test. */
export async function directory(context: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'bty-cli-'));
  context.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** The JSON envelope on standard output, whose two first keys are checked. */
export function envelope({ stdout }: Ended, command: string): Record<string, unknown> {
  const parsed = JSON.parse(stdout) as Record<string, unknown>;
  assert.deepEqual(Object.entries(parsed).slice(0, 2), [
    ['schema_version', '1'],
    ['command', command],
  ]);
  return parsed;
}
