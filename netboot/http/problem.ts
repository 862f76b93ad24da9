/** Errors as they go over HTTP: `{"detail": …}`, and 422 with a list (bty-contract 3.1). */
import { Failure } from '../../shared/failure.ts';

/** One thing that is wrong with a body or a query. */
export interface Fault {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input?: unknown;
  readonly ctx?: Readonly<Record<string, unknown>>;
}

/** An answer that is no success. Thrown by whoever finds out. */
export class Problem extends Error {
  readonly status: number;
  readonly detail: string | readonly Fault[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    detail: string | readonly Fault[],
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(typeof detail === 'string' ? detail : detail.map(({ msg }) => msg).join('; '));
    this.name = 'Problem';
    this.status = status;
    this.detail = detail;
    this.headers = headers;
  }
}

export interface ProblemBody {
  readonly detail: string | readonly Fault[];
  readonly code?: string;
  readonly advice?: string;
  /** What the sentence speaks of, for pages that say it in another language. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface Told {
  readonly status: number;
  readonly body: ProblemBody;
  readonly headers: Readonly<Record<string, string>>;
  /** True for a fault of ours, which is logged with its stack. */
  readonly ours: boolean;
}

/** What the other side is told of `error`. Of a fault of ours it learns nothing but that. */
export function tell(error: unknown): Told {
  if (error instanceof Problem)
    return { status: error.status, body: { detail: error.detail }, headers: error.headers, ours: false };
  if (error instanceof Failure && error.code !== 'INTERNAL') {
    const { message: detail, code, advice, details } = error;
    const body = { detail, code, advice, details };
    // 502, 503 and 507 speak of what lies around the appliance: a server, its load, its disk.
    return { status: error.httpStatus, body, headers: {}, ours: error.httpStatus === 500 };
  }
  const code = codeOf(error);
  if (code === 'FST_ERR_BAD_URL' || code === 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE')
    return { status: 400, body: { detail: 'bad path' }, headers: {}, ours: false };
  if (isDiskFull(error))
    return { status: 507, body: { detail: 'the disk of the appliance is full' }, headers: {}, ours: true };
  const status = statusOf(error);
  if (status !== null && status >= 400 && status < 500)
    return { status, body: { detail: messageOf(error) }, headers: {}, ours: false };
  return { status: 500, body: { detail: 'Internal Server Error' }, headers: {}, ours: true };
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
}

function isDiskFull(error: unknown): boolean {
  if (codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT') return true;
  // SQLITE_FULL (https://www.sqlite.org/rescode.html#full)
  return typeof error === 'object' && error !== null && 'errcode' in error && error.errcode === 13;
}

function statusOf(error: unknown): number | null {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return null;
  return typeof error.statusCode === 'number' ? error.statusCode : null;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
