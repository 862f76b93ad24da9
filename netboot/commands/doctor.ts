import { ExitCode } from '../../shared/failure.ts';
import { examineNetwork } from '../system/doctor.ts';

/** Says what holds here and what is missing; exit code 1 when something that is needed is missing. */
export async function doctor(): Promise<ExitCode> {
  const findings = await examineNetwork();
  for (const { name, state, text, advice } of findings) {
    const mark = { ok: 'ok     ', note: 'note   ', missing: 'MISSING' }[state];
    process.stdout.write(`${mark} ${name}: ${text}${advice === '' ? '' : `\n        ${advice}`}\n`);
  }
  return findings.some(({ state }) => state === 'missing') ? ExitCode.failed : ExitCode.ok;
}
