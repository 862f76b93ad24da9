/**
 * Every failure a person can meet: its code, the sentence that states both sides, the advice, and how it is
 * told by a process (exit code, `bty-contract` section 1) and by HTTP (status).
 */
import { appFailures } from './failures/app.ts';
import { applianceFailures } from './failures/appliance.ts';
import { diskFailures } from './failures/disk.ts';
import type { Entry, ExitCode } from './failures/entry.ts';
import { helperFailures } from './failures/helper.ts';
import { imageFailures } from './failures/image.ts';
import { liveFailures } from './failures/live.ts';
import { networkFailures } from './failures/network.ts';
import { requestFailures } from './failures/request.ts';
import { taskFailures } from './failures/task.ts';

export { ExitCode } from './failures/entry.ts';

const table = {
  ...requestFailures,
  ...imageFailures,
  ...diskFailures,
  ...helperFailures,
  ...appFailures,
  ...applianceFailures,
  ...networkFailures,
  ...liveFailures,
  ...taskFailures,
} as const;

export type FailureCode = keyof typeof table;
export type FailureDetails<Code extends FailureCode> =
  (typeof table)[Code] extends Entry<infer Details> ? Details : never;

/** Failure in the form that crosses a wire or a log. */
export interface FailureReport {
  readonly code: FailureCode;
  readonly message: string;
  readonly advice: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** A failure that a person can meet; everything else that is thrown is a fault of bty. */
export class Failure extends Error {
  readonly code: FailureCode;
  readonly advice: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly exitCode: ExitCode;
  readonly httpStatus: number;

  constructor(code: FailureCode, details: object, cause?: unknown) {
    const found = table[code] as unknown as Entry<object>;
    super(found.sentence(details), cause === undefined ? undefined : { cause });
    this.name = 'Failure';
    this.code = code;
    this.advice = found.advice;
    this.details = details as Readonly<Record<string, unknown>>;
    this.exitCode = found.exit;
    this.httpStatus = found.http;
  }

  report(): FailureReport {
    return { code: this.code, message: this.message, advice: this.advice, details: this.details };
  }
}

/** Makes the failure `code`; `details` is checked against the table by the compiler. */
export function failure<Code extends FailureCode>(
  code: Code,
  details: FailureDetails<Code>,
  cause?: unknown,
): Failure {
  return new Failure(code, details as object, cause);
}

/** The failure in `error`, or INTERNAL when it is none. */
export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const problem = error instanceof Error ? error.message : String(error);
  return failure('INTERNAL', { problem }, error);
}

/** Rebuilds a failure that crossed a thread or a wire. */
export function fromReport(report: FailureReport): Failure {
  return new Failure(report.code, report.details);
}

/** Exit code that belongs to `code`. */
export function exitCodeOf(code: FailureCode): ExitCode {
  return table[code].exit;
}

/** All codes, for documentation and tests. */
export const failureCodes = Object.keys(table) as readonly FailureCode[];
