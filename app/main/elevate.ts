import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Failure, failure } from '../../shared/failure.ts';
import {
  applianceAction,
  helperAction,
  type PkexecEnd,
  pkexecFailure,
  portsFailure,
} from '../../shared/helper/elevation.ts';
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

/** What rights are asked for: those to open disks, or those to open low ports. */
export type Purpose = 'disks' | 'ports';

/**
 * How `program` with `words` gets its rights; `needed` is false when it needs none. The first of the words is what the
 * policy of polkit names.
 */
export function elevation(
  program: Program,
  needed: boolean,
  words: readonly string[] = ['helper'],
  purpose: Purpose = 'disks',
): Elevation {
  const args = [...program.before, ...words];
  if (!needed || isPrivileged()) return { kind: 'plain', path: program.path, args };
  const unavailable = purpose === 'disks' ? 'ELEVATION_UNAVAILABLE' : 'PORTS_UNAVAILABLE';
  if (process.platform !== 'linux') {
    const problem = `this app cannot ask on ${process.platform} yet`;
    return { kind: 'impossible', failure: failure(unavailable, { problem }) };
  }
  if (!existsSync(pkexec)) {
    const problem = 'pkexec is not installed';
    return { kind: 'impossible', failure: failure(unavailable, { problem }) };
  }
  // Its own agent asks in a terminal, and a window has none.
  return { kind: 'pkexec', path: pkexec, args: ['--disable-internal-agent', program.path, ...args] };
}

export function isPrivileged(): boolean {
  return process.getuid?.() === 0;
}

/** Why pkexec ended before the helper said a word: a wrong password and a policy that forbids it are told apart. */
export async function permissionFailure(end: PkexecEnd, purpose: Purpose = 'disks'): Promise<Failure> {
  const action = purpose === 'disks' ? helperAction : applianceAction;
  const asks = end.stderr.includes('Not authorized') ? await policyWouldAsk(action) : null;
  const found = pkexecFailure(end, asks);
  return purpose === 'disks' ? found : portsFailure(found);
}

function policyWouldAsk(action: string): Promise<number | null> {
  return new Promise((resolve) => {
    const args = ['--action-id', action, '--process', String(process.pid)];
    execFile(pkcheck, args, { timeout: 5000 }, (error) => {
      if (error === null) resolve(0);
      else resolve(typeof error.code === 'number' ? error.code : null);
    });
  });
}
