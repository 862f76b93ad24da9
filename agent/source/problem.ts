import { getSystemErrorMessage } from 'node:util';

/** Words for what went wrong, for the `problem` of a failure: "permission denied (EACCES)". */
export function problemOf(error: unknown): string {
  // Several addresses of one host were tried: net.connect reports them together, with an empty message.
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map(problemOf))].join('; ');
  }
  if (!(error instanceof Error)) return String(error);
  const code = codeOf(error);
  const words = code === null ? null : (known[code] ?? systemWords(error));
  return words === null ? error.message || error.name : `${words} (${code})`;
}

/** The `code` of a system error ("EIO"), null when it has none. */
export function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

/** getaddrinfo(3) failures carry no errno that the system could put into words. */
const known: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the name server does not answer',
};

function systemWords(error: Error): string | null {
  if (!('errno' in error) || typeof error.errno !== 'number' || error.errno >= 0) return null;
  return getSystemErrorMessage(error.errno);
}
