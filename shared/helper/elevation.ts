/** Why a helper that was started through pkexec(1) did not come to greet. */
import { type Failure, failure } from '../failure.ts';

/** Path of the action file's `exec.path` annotation: where packages put the executable of the helper. */
export const helperProgram = '/opt/bty/resources/bty';
/** The same for the executable of the appliance. */
export const applianceProgram = '/opt/bty/resources/bty-web';

export interface PkexecEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** What was printed on standard error, in the language "C" (pkexec must be started with LC_ALL=C). */
  readonly stderr: string;
}

/** Actions of the policy files. */
export const helperAction = 'org.bty.flash';
export const applianceAction = 'org.bty.appliance';

/**
 * The failure that `end` stands for, where it was pkexec that ended and not the program that it started: call this
 * only when nothing was said on standard output. pkexec(1), RETURN VALUE: 126 when the dialog was dismissed, 127 when
 * permission was not obtained or an error occurred; its sentences tell the rest (polkit 0.105 to 126).
 *
 * It says "Not authorized" to a wrong password and to a policy that asks for none alike. `pkcheck` is the exit status
 * of `pkcheck --action-id org.bty.flash --process <own pid>`, run afterwards: 2 says that the policy would ask.
 * Null where it was not run.
 */
export function pkexecFailure({ code, signal, stderr }: PkexecEnd, pkcheck: number | null): Failure {
  const says = (text: string) => stderr.includes(text);
  if (says('No authentication agent found') || says('Error registering local authentication agent'))
    return failure('ELEVATION_NO_AGENT', {});
  if (code === 126 || says('Request dismissed')) return failure('ELEVATION_DISMISSED', {});
  if (says('Not authorized'))
    return failure(pkcheck === 2 ? 'ELEVATION_WRONG_PASSWORD' : 'ELEVATION_DENIED', {});
  const last = stderr.trim().split('\n').at(-1)?.slice(0, 300);
  if (code === 127) return failure('ELEVATION_UNAVAILABLE', { problem: last || 'pkexec failed' });
  const how = signal === null ? `status ${code}` : `signal ${signal}`;
  return failure('HELPER_ENDED', { said: last || how });
}

/** What `pkexecFailure` found, where it was not disks but low ports that were asked for. */
export function portsFailure(found: Failure): Failure {
  switch (found.code) {
    case 'ELEVATION_DENIED':
      return failure('PORTS_DENIED', {}, found);
    case 'ELEVATION_WRONG_PASSWORD':
      return failure('PORTS_WRONG_PASSWORD', {}, found);
    case 'ELEVATION_DISMISSED':
      return failure('PORTS_DISMISSED', {}, found);
    case 'ELEVATION_NO_AGENT':
      return failure('PORTS_NO_AGENT', {}, found);
    case 'ELEVATION_UNAVAILABLE':
      return failure(
        'PORTS_UNAVAILABLE',
        { problem: String(found.details.problem ?? 'pkexec failed') },
        found,
      );
    case 'HELPER_ENDED':
      return failure('APPLIANCE_ENDED', { said: String(found.details.said ?? 'nothing.') }, found);
    default:
      return found;
  }
}
