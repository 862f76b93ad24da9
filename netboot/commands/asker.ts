/** `bty-web desktop` that pkexec(1) started: it becomes the person who asked before it reads anything of theirs. */
import { readFileSync } from 'node:fs';
import { failure } from '../../shared/failure.ts';
import { becomeOrdinary } from '../system/privilege.ts';

/** User and first group of `uid` in the text of /etc/passwd, with the home directory; null when there is no such user. */
export function accountOf(uid: number, passwd: string): { uid: number; gid: number; home: string } | null {
  for (const line of passwd.split('\n')) {
    const [, , found = '', gid = '', , home = ''] = line.split(':');
    if (found === String(uid) && /^\d+$/.test(gid)) return { uid, gid: Number(gid), home };
  }
  return null;
}

/**
 * Gives the rights of root up for those of the user whom pkexec names (`PKEXEC_UID`), but for the right to bind low
 * ports. Without pkexec nothing happens: whoever is root already stays it, and everybody else has nothing to give up.
 */
export function becomeAsker(environment: NodeJS.ProcessEnv): void {
  const named = environment.PKEXEC_UID;
  if (named === undefined || process.getuid?.() !== 0) return;
  const uid = /^\d{1,10}$/.test(named) ? Number(named) : 0;
  const account = uid === 0 ? null : accountOf(uid, readFileSync('/etc/passwd', 'utf8'));
  if (account === null) throw failure('NO_SUCH_USER', { user: `number ${named.slice(0, 20)}` });
  becomeOrdinary(account);
  environment.HOME = account.home;
}
