/** How the helper becomes the asking user for good, before there is anything to be read. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { isSea } from 'node:sea';
import { failure } from '../../shared/failure.ts';
import { closeEnd } from '../system/native.ts';
import {
  type Account,
  accountOf,
  boundCapabilities,
  dropCapabilities,
  forbidNewPrivileges,
  keepAcrossExec,
  putOnto,
  socketPair,
} from '../system/privilege.ts';
import { keptOfKeeper, keptOfRoot } from './rights.ts';

/** Variables that are handed on; everything else is forgotten. */
const allowed = ['LANG', 'LC_ALL', 'LC_MESSAGES', 'TZ'] as const;
const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The user who asked. pkexec(1) says it in PKEXEC_UID; otherwise it is the real user of this process. Throws
 * HELPER_RIGHTS when that cannot be told.
 */
export function askingUser(
  environment: Readonly<Record<string, string | undefined>>,
  real: number,
  effective: number,
): number {
  if (effective !== 0) return effective;
  const told = environment.PKEXEC_UID;
  if (told === undefined) return real;
  if (!/^\d{1,10}$/.test(told) || Number(told) >= 0xffff_ffff)
    throw failure('HELPER_RIGHTS', { problem: 'pkexec did not say for whom it started the helper' });
  return Number(told);
}

/** What the helper's halves find in their environment. */
export function cleanEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  home: string,
): Record<string, string> {
  const handed = allowed.flatMap((name) => {
    const value = environment[name];
    return value === undefined || value.length > 256 ? [] : [[name, value] as const];
  });
  return { PATH: path, HOME: home, ...Object.fromEntries(handed) };
}

/**
 * Starts the keeper, which has this process's standard input from then on, and becomes the worker: the same process,
 * executed anew as the asking user. Executing ends all threads and forgets all memory, so nothing of root is left that
 * would have to be dropped thread by thread. Returns only by throwing.
 */
export async function become(environment: NodeJS.ProcessEnv): Promise<never> {
  const { execve, getuid, geteuid } = process;
  if (process.platform !== 'linux' || !execve || !getuid || !geteuid) {
    throw failure('USAGE', { problem: `The helper is built for Linux; this is ${process.platform}.` });
  }
  const privileged = geteuid() === 0;
  const uid = askingUser(environment, getuid(), geteuid());
  const account = accountOf(uid);
  if (!account)
    throw failure('HELPER_RIGHTS', { problem: `the asking user ${uid} is not known to the system` });
  const clean = cleanEnvironment(environment, account.home);
  const itself = isSea() ? ['helper'] : [...process.execArgv, process.argv[1] ?? '', 'helper'];
  process.chdir('/');

  forbidNewPrivileges();
  // Bounds what is executed from now on, not this process itself, which needs the rest to become another.
  if (privileged) boundCapabilities(keptOfKeeper);
  const [lines, keeperLines] = socketPair('stream');
  const [disks, keeperDisks] = socketPair('messages');
  const keeper = spawn(process.execPath, [...itself, 'keeper'], {
    stdio: [0, 'ignore', 2, keeperLines, keeperDisks],
    env: clean,
    // A session of its own: Ctrl+C on a terminal is for the worker, whose end ends the keeper.
    detached: true,
  });
  await once(keeper, 'spawn');
  closeEnd(keeperLines);
  closeEnd(keeperDisks);
  // What the app says is for the keeper alone.
  putOnto(openSync('/dev/null', 'r'), 0);

  if (privileged) giveUp(account);
  keepAcrossExec(lines);
  keepAcrossExec(disks);
  const words = [process.execPath, ...itself, 'worker', `${lines}`, `${disks}`, `${uid}`];
  execve.call(process, process.execPath, words, clean);
  throw failure('HELPER_RIGHTS', { problem: 'it could not be executed anew' });
}

/** initgroups(3), which @types/node does not know. */
const posix = process as unknown as { readonly initgroups: (user: string, group: number) => void };

function giveUp({ name, uid, gid }: Account): void {
  try {
    if (uid === 0) {
      // Root asked: there is nobody to become. What reading any image takes is kept, and nothing beyond it.
      boundCapabilities(keptOfRoot);
      return;
    }
    boundCapabilities([]);
    // As root these set real, effective and saved ids alike: setuid(2), setgid(2).
    posix.initgroups(name, gid);
    process.setgid?.(gid);
    process.setuid?.(uid);
    dropCapabilities();
  } catch (error) {
    throw failure(
      'HELPER_RIGHTS',
      { problem: error instanceof Error ? error.message : String(error) },
      error,
    );
  }
}
