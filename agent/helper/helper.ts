/** `bty helper`: see docs/helper.md. */
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { ExitCode, failure } from '../../shared/failure.ts';
import type { Command } from '../cli/command.ts';
import { keeperDisks, keeperLines } from './inner.ts';
import { judgeRights, readStatuses } from './rights.ts';

export const runHelper: Command<'helper'> = async ({ part, lines, disks, user }, { signal, environment }) => {
  switch (part) {
    case undefined: {
      const { become } = await import('./become.ts');
      return become(environment);
    }
    case 'keeper':
      return keep(signal);
    case 'worker':
      return work([lines, disks, user].map(number), signal);
    default:
      throw failure('USAGE', { problem: 'bty helper takes no words: it is started by the desktop app.' });
  }
};

function number(word: string | undefined): number {
  if (word === undefined || !/^\d{1,10}$/.test(word))
    throw failure('USAGE', { problem: 'The parts of the helper are started by the helper itself.' });
  return Number(word);
}

async function keep(signal: AbortSignal): Promise<ExitCode> {
  // Whoever starts the keeper by hand has no such sockets, and what pkexec(1) starts has no descriptors at all there.
  for (const descriptor of [keeperLines, keeperDisks]) {
    if (!isSocket(descriptor))
      throw failure('USAGE', { problem: 'The keeper is started by the helper itself.' });
  }
  const { Keeper } = await import('./keeper.ts');
  const worker = new Socket({ fd: keeperLines, readable: true, writable: true });
  await new Keeper({ app: process.stdin, worker, disks: keeperDisks, signal }).run();
  process.exit(ExitCode.ok);
}

async function work(
  [lines = -1, disks = -1, user = -1]: readonly number[],
  signal: AbortSignal,
): Promise<ExitCode> {
  // Also what keeps this part from being run with the rights that pkexec(1) gives: no thread may be able to gain any.
  const problem = judgeRights(await readStatuses(), user);
  if (problem !== null) throw failure('HELPER_RIGHTS', { problem });
  if (!isSocket(lines) || !isSocket(disks))
    throw failure('USAGE', { problem: 'The worker is started by the helper itself.' });
  const { Worker } = await import('./worker.ts');
  return new Worker(lines, disks, user, signal).run();
}

function isSocket(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isSocket();
  } catch {
    return false;
  }
}
