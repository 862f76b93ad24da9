/** Requests that a page of another site makes a browser send are refused; programs such as curl send no such marks. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Operation } from '../../shared/contract/operation.ts';
import { Problem } from './problem.ts';

const safe = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Throws the 403 when `headers` say that another site caused this request and it would change something. */
export function refuseForeignSites(
  headers: IncomingHttpHeaders,
  method: string,
  operation: Operation | undefined,
): void {
  // A machine's script registers the machine, so it counts as a change, however its path is spelled.
  if (safe.has(method) && operation?.path.startsWith('/pxe/') !== true) return;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw foreign();
  const { origin } = headers;
  if (origin === undefined) return;
  if (URL.parse(origin)?.host !== headers.host?.toLowerCase()) throw foreign();
}

function foreign(): Problem {
  return new Problem(403, 'this request comes from a page of another site');
}
