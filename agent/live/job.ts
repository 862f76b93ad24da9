/** One try of a flash plan with the engine: the disk chosen, written, read back. */
import type { FlashPlanMessage, Step } from '../../shared/contract/agent.ts';
import { asFailure, type Failure, failure, fromReport } from '../../shared/failure.ts';
import { advance, type FlashState, idle } from '../../shared/flash/advance.ts';
import type { TargetSpec } from '../disk/guard.ts';
import { openDisk } from '../disk/open.ts';
import { flash } from '../flash/flash.ts';
import { prepareFlash } from '../flash/prepare.ts';
import type { LocalDisk } from './inventory.ts';

export interface JobOptions {
  readonly plan: FlashPlanMessage;
  /** Address that a relative image address is relative to. */
  readonly server: string;
  readonly disk: LocalDisk;
  readonly allowLoop: boolean;
  readonly signal: AbortSignal;
  readonly onState: (step: Step, state: FlashState) => void;
  readonly onNotice: (text: string) => void;
}

export type JobResult =
  | {
      readonly kind: 'written';
      readonly sha256: string;
      readonly imageBytes: number;
      readonly verified: boolean;
      readonly partitionsRead: boolean;
      readonly seconds: Readonly<Record<string, number>>;
    }
  | { readonly kind: 'failed'; readonly step: Step; readonly failure: Failure };

/** Writes the image onto the disk. Never throws. */
export async function runJob(options: JobOptions): Promise<JobResult> {
  let step: Step = 'preparing';
  try {
    return await written(options, (now) => {
      step = now;
    });
  } catch (error) {
    return { kind: 'failed', step, failure: asFailure(error) };
  }
}

async function written(options: JobOptions, onStep: (step: Step) => void): Promise<JobResult> {
  const { plan, disk, signal, onState, onNotice } = options;
  const began = performance.now();
  const prepared = await prepareFlash(
    {
      image: new URL(plan.image.url, options.server).href,
      catalog: undefined,
      verify: plan.verify,
      sparse: false,
      sha256: plan.image.sha256,
      computeSha256: true,
      bmap: undefined,
    },
    signal,
  );
  try {
    for (const note of prepared.notes) onNotice(note);
    if (plan.image.format !== null && plan.image.format !== prepared.plan.format)
      onNotice(
        `The plan calls the image ${plan.image.format}; by its content it is ${prepared.plan.format}.`,
      );
    const spec: TargetSpec = {
      kind: 'device',
      path: disk.path,
      allowLoop: options.allowLoop,
      expected: { size: disk.size_bytes, serial: disk.serial, diskseq: disk.diskseq },
      imageBytes: prepared.plan.imageBytes,
      imageAtLeast: prepared.size.atLeast,
      imageName: plan.image.name,
    };
    let state: FlashState = idle;
    let step: Step = 'preparing';
    const enter = (next: Step): void => {
      step = next;
      onStep(next);
      onState(next, state);
    };
    const target = {
      target: disk.path,
      size: disk.size_bytes,
      open: async () => {
        // udev does not run in the live system, but the kernel may still be looking for partitions.
        const opened = await openDisk(spec, { signal, patience: 10_000 });
        // Whoever reads that a disk was being cleared takes what was on it for lost: not before it could be opened.
        enter('clearing');
        return opened;
      },
    };
    const control = { signal, skipVerify: new AbortController().signal };
    const preparing = (performance.now() - began) / 1000;
    for await (const event of flash(prepared.plan, [target], control)) {
      state = advance(state, event);
      if (event.kind === 'phase' && event.phase !== 'clearing') enter(event.phase);
      if (event.kind === 'notice') onNotice(event.text);
      if (event.kind === 'progress') onState(step, state);
    }
    return resultOf(options, state, step, preparing);
  } finally {
    await prepared.close();
  }
}

function resultOf({ plan, signal }: JobOptions, state: FlashState, step: Step, preparing: number): JobResult {
  const result = state.targets[0]?.result;
  if (result?.outcome === 'done') {
    const verified = plan.verify === 'none' ? result.account.written > 0 : result.verified;
    if (state.sha256 !== plan.image.sha256 || !verified) {
      const problem = 'the engine called a flash done that was not verified';
      return { kind: 'failed', step, failure: failure('INTERNAL', { problem }) };
    }
    const { written, zeroed, skipped } = result.account;
    return {
      kind: 'written',
      sha256: state.sha256,
      imageBytes: written + zeroed + skipped,
      verified: result.verified,
      partitionsRead: result.partitionsRead,
      seconds: { preparing, ...result.seconds },
    };
  }
  const reason: unknown = signal.aborted ? signal.reason : undefined;
  const found =
    reason !== undefined
      ? asFailure(reason)
      : result?.failure
        ? fromReport(result.failure)
        : failure('INTERNAL', { problem: 'the flash ended without a result' });
  return { kind: 'failed', step, failure: found };
}
