import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Failure, failure } from '../../shared/failure.ts';
import { helperAction, type PkexecEnd, pkexecFailure } from '../../shared/helper/elevation.ts';
import type { Program } from './program.ts';

/** How the helper is started so that it may open disks. */
export type Elevation =
  /** As any other program: this one may open disks already, or the job needs no rights. */
  | { readonly kind: 'plain'; readonly path: string; readonly args: readonly string[] }
  /** Through polkit, which asks the person. */
  | { readonly kind: 'pkexec'; readonly path: string; readonly args: readonly string[] }
  | { readonly kind: 'impossible'; readonly failure: Failure };

const pkexec = '/usr/bin/pkexec';
const pkcheck = '/usr/bin/pkcheck';

/** How `bty helper` gets the rights for its job; `needed` is false when the job opens files of the person only. */
export function elevation(program: Program, needed: boolean): Elevation {
  const args = [...program.before, 'helper'];
  if (!needed || isPrivileged()) return { kind: 'plain', path: program.path, args };
  if (process.platform !== 'linux') {
    const problem = `this app cannot ask on ${process.platform} yet`;
    return { kind: 'impossible', failure: failure('ELEVATION_UNAVAILABLE', { problem }) };
  }
  if (!existsSync(pkexec)) {
    const problem = 'pkexec is not installed';
    return { kind: 'impossible', failure: failure('ELEVATION_UNAVAILABLE', { problem }) };
  }
  // Its own agent asks in a terminal, and a window has none.
  return { kind: 'pkexec', path: pkexec, args: ['--disable-internal-agent', program.path, ...args] };
}

export function isPrivileged(): boolean {
  return process.getuid?.() === 0;
}

/** Why pkexec ended before the helper said a word: a wrong password and a policy that forbids it are told apart. */
export async function permissionFailure(end: PkexecEnd): Promise<Failure> {
  return pkexecFailure(end, end.stderr.includes('Not authorized') ? await policyWouldAsk() : null);
}

function policyWouldAsk(): Promise<number | null> {
  return new Promise((resolve) => {
    const args = ['--action-id', helperAction, '--process', String(process.pid)];
    execFile(pkcheck, args, { timeout: 5000 }, (error) => {
      if (error === null) resolve(0);
      else resolve(typeof error.code === 'number' ? error.code : null);
    });
  });
}
