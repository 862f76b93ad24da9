/** A failure in the size that the appliance takes: a machine with a hundred disks names all of them in one sentence. */
import type { FailureMessage } from '../../shared/contract/agent.ts';
import type { FailureReport } from '../../shared/failure.ts';

/** Most characters of a sentence (`FailureMessage`). */
const longest = 4000;
/** Most characters of the details as JSON: far from `bodyBytes`, also in UTF-8. */
const mostDetails = 32 * 1024;

export function failureMessage({ code, message, advice, details }: FailureReport): FailureMessage {
  return { code, message: cut(message), advice: cut(advice), details: bounded(details) };
}

function cut(text: string): string {
  return text.length <= longest ? text : `${text.slice(0, longest - 4).toWellFormed()} ...`;
}

/** Nothing where the details are too long, or cannot be written as JSON: the sentence has what matters. */
function bounded(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  try {
    return JSON.stringify(details).length <= mostDetails ? { ...details } : {};
  } catch {
    return {};
  }
}
