/**
 * Gives the terminal back when the program cannot: it was killed by SIGKILL, or the system took its memory. A process
 * of its own session waits for the end of the pipe from the program; a word on it says that all is well.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { writeSync } from 'node:fs';
import { isSea } from 'node:sea';
import { ExitCode } from '../../shared/failure.ts';
import type { Command } from '../cli/command.ts';
import { leaveScreen } from './painter.ts';

const well = 'well\n';

/** The modes of the terminal on standard input as stty(1) writes them, empty where it is missing. */
export function savedModes(): string {
  try {
    return execFileSync('stty', ['-g'], { stdio: ['inherit', 'pipe', 'ignore'], encoding: 'utf8' }).trim();
  } catch {
    return '';
  }
}

export class Guard {
  readonly #child: ChildProcess;

  /** Watches over the terminal on standard input and output, whose modes were `modes`. */
  constructor(modes: string) {
    const itself = isSea() ? [] : [...process.execArgv, process.argv[1] ?? ''];
    this.#child = spawn(process.execPath, [...itself, 'tui-guard', modes], {
      // A session of its own: it outlives the hang-up, and no job control keeps it from the terminal.
      detached: true,
      // Not as its own standard streams: Node.js gives those the modes again that they had when it began.
      stdio: ['pipe', 'ignore', 'ignore', 1, 0],
    });
    this.#child.on('error', () => {});
    this.#child.stdin?.on('error', () => {});
    this.#child.unref();
  }

  /** The terminal was given back. */
  release(): void {
    this.#child.stdin?.end(well);
  }
}

/** `bty tui-guard`: standard input is the pipe, descriptors 3 and 4 are the terminal's output and input. */
export const runGuard: Command<'tui-guard'> = async ({ modes }) => {
  let told = '';
  for await (const piece of process.stdin.setEncoding('utf8')) told += piece as string;
  if (told === well) return ExitCode.ok;
  try {
    writeSync(3, leaveScreen);
  } catch {
    // The terminal is gone with the program.
  }
  if (/^[0-9a-f:]+$/.test(modes)) spawnSync('stty', [modes], { stdio: [4, 'ignore', 'ignore'] });
  return ExitCode.ok;
};
