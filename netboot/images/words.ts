import { getSystemErrorMessage } from 'node:util';

/** Words for what went wrong, for the `problem` of a failure: "permission denied (EACCES)". */
export function problemOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map(problemOf))].join('; ');
  }
  if (!(error instanceof Error)) return String(error);
  const code = codeOf(error);
  if (code === null) return error.message || error.name;
  const errno = 'errno' in error && typeof error.errno === 'number' ? error.errno : 0;
  return `${errno < 0 ? getSystemErrorMessage(errno) : error.message || error.name} (${code})`;
}

/** The `code` of a system error ("EIO"), null when it has none. */
export function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
