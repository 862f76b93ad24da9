import type { Bridge, Input, Operation, Replies } from '../../shared/app/contract.ts';
import type { FailureReport } from '../../shared/failure.ts';

declare global {
  interface Window {
    readonly bty?: Bridge;
  }
}

/** A question that was answered with a failure. */
export class Refusal extends Error {
  readonly failure: FailureReport;

  constructor(failure: FailureReport) {
    super(failure.message);
    this.failure = failure;
  }
}

/** What is behind the window; in Electron, its preload made it. */
export function bridge(): Bridge {
  if (!window.bty) throw new Error('The window was opened without the program behind it.');
  return window.bty;
}

/** Asks, and rejects with a Refusal. */
export async function ask<Name extends Operation>(
  operation: Name,
  input: Input<Name>,
): Promise<Replies[Name]> {
  const answer = await bridge().call(operation, input);
  if (!answer.ok) throw new Refusal(answer.failure);
  return answer.value;
}
