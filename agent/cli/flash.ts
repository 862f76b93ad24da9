import { constants, fstatSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { asFailure, ExitCode, exitCodeOf, type Failure, failure } from '../../shared/failure.ts';
import { advance, type FlashState, headline, idle } from '../../shared/flash/advance.ts';
import type { TargetSpec } from '../disk/guard.ts';
import { type DiskIdentity, identify, sameDisk } from '../disk/identity.ts';
import { heldByOthers, openDisk } from '../disk/open.ts';
import { inspectTarget, type TargetReport } from '../disk/target.ts';
import { flash } from '../flash/flash.ts';
import type { FlashControl, FlashTarget } from '../flash/plan.ts';
import { type FlashRequest, type Prepared, prepareFlash } from '../flash/prepare.ts';
import type { ImageSource } from '../source/source.ts';
import type { Command } from './command.ts';
import { planFields, planText } from './flashplan.ts';
import { type Reporter, reporterFor } from './flashprogress.ts';
import { doneSentence } from './flashresult.ts';
import type { Values } from './grammar.ts';
import { print, printError, printJson, warn } from './output.ts';
import { visible, visibleJson } from './visible.ts';

type FlashValues = Values<'flash'>;

/** `bty flash`: shows the plan, or runs it. */
export const runFlash: Command<'flash'> = async (values, { signal }) => {
  const request: FlashRequest = {
    image: values.image,
    catalog: values.catalog,
    verify: values.verify,
    sparse: values.sparse,
    allowCut: values.allowCut,
    sha256: values.sha256,
    computeSha256: !values.noHash,
    bmap: values.bmap,
  };
  if (
    values.expectSerial !== undefined &&
    (values.target ?? []).length + (values.virtualDisk ?? []).length > 1
  ) {
    throw failure('USAGE', { problem: '--expect-serial names one disk, and several targets are given.' });
  }
  const skip = new AbortController();
  const onSkip = () => skip.abort();
  process.on('SIGUSR2', onSkip);
  try {
    const prepared = await prepareFlash(request, signal);
    try {
      return await planned(values, prepared, { signal, skipVerify: skip.signal });
    } finally {
      await prepared.close();
    }
  } catch (error) {
    if (values.json) tellRefusal(values, [asFailure(error)]);
    throw error;
  } finally {
    process.off('SIGUSR2', onSkip);
  }
};

/** Nothing was begun, because of `failures`. */
function tellRefusal(values: FlashValues, failures: readonly Failure[]): void {
  const cancelled = failures.some(({ code }) => code === 'CANCELLED');
  const fields = {
    dry_run: values.dryRun,
    ok: false,
    outcome: cancelled ? 'cancelled' : 'refused',
    errors: failures.map(({ message }) => message),
    failures: failures.map((each) => each.report()),
  };
  if (values.progress === 'ndjson')
    print(visibleJson({ event: 'result', schema_version: '1', command: 'flash', ...fields }));
  else printJson('flash', fields);
}

async function planned(values: FlashValues, prepared: Prepared, control: FlashControl): Promise<ExitCode> {
  const specs = targetSpecs(values, prepared);
  const reports = await Promise.all(specs.map((spec) => inspectTarget(spec)));
  const identities = await identitiesOf(specs);
  const errors = [...reports.flatMap(({ failures }) => failures), ...twice(specs, identities)];
  // A flash learns it when it opens the disks, and waits a little for those that are busy.
  if (values.dryRun && errors.length === 0) {
    const held = await Promise.all(specs.map((spec) => heldByOthers(spec)));
    errors.push(...held.filter((found) => found !== null));
  }
  const lasting = errors.filter(({ code }) => code !== 'NEEDS_ROOT');
  if (values.dryRun) {
    if (values.json) {
      const fields = planFields(prepared, reports);
      const told = errors.map(({ message }) => message);
      printJson('flash', { dry_run: true, plan: fields, errors: told, ok: lasting.length === 0 });
    } else print(planText(prepared, reports, lasting));
    return lasting.length === 0 ? ExitCode.ok : ExitCode.failed;
  }
  // Standard output belongs to the events or to the JSON result alone.
  const say = values.progress === 'ndjson' || values.json ? printError : print;
  if (lasting.length > 0) {
    say(planText(prepared, reports, lasting));
    if (values.json) tellRefusal(values, lasting);
    return ExitCode.failed;
  }
  await checkRights(specs);
  say(`${planText(prepared, reports, [])}\n`);
  const targets = specs.map((spec, index) => target(spec, reports[index], identities[index]));
  return run(values, prepared, targets, control, say);
}

async function run(
  values: FlashValues,
  { plan }: Prepared,
  targets: readonly FlashTarget[],
  control: FlashControl,
  say: (text: string) => void,
): Promise<ExitCode> {
  say(`Writing to ${targets.map(({ target }) => visible(target)).join(', ')} ...`);
  const reporter: Reporter = reporterFor(values.progress);
  let state: FlashState = idle;
  for await (const event of flash(plan, targets, control)) {
    state = advance(state, event);
    reporter(event, state);
  }
  tellResult(state, say);
  if (values.json) {
    const fields = resultFields(state);
    if (values.progress === 'ndjson')
      print(visibleJson({ event: 'result', schema_version: '1', command: 'flash', ...fields }));
    else printJson('flash', fields);
  }
  return exitCodeFor(state);
}

function targetSpecs(values: FlashValues, { plan, size }: Prepared): TargetSpec[] {
  const { source, imageBytes, image } = plan;
  const common = {
    ...sourcePath(source),
    demanded: { serial: values.expectSerial, size: values.expectSize },
    imageBytes,
    imageAtLeast: size.atLeast,
    imageName: image,
  };
  return [
    ...(values.target ?? []).map(
      (path): TargetSpec => ({ kind: 'device', path, allowLoop: values.allowLoop, ...common }),
    ),
    ...(values.virtualDisk ?? []).map((path): TargetSpec => ({ kind: 'virtual', path, ...common })),
  ];
}

/** What the guard compares the targets with: the file or device that the image is read from. */
function sourcePath({ kind, location }: ImageSource): { source?: { path: string } } {
  if (location !== '-') return kind === 'file' ? { source: { path: location } } : {};
  const input = fstatSync(0);
  return input.isFile() || input.isBlockDevice() ? { source: { path: '/proc/self/fd/0' } } : {};
}

/** Null where there is no disk, which the report of the target says better. */
async function identitiesOf(specs: readonly TargetSpec[]): Promise<readonly (DiskIdentity | null)[]> {
  return Promise.all(specs.map(({ path }) => identify(path).catch(() => null)));
}

function twice(specs: readonly TargetSpec[], identities: readonly (DiskIdentity | null)[]): Failure[] {
  return identities.flatMap((one, index) => {
    const before = identities.slice(0, index).findIndex((other) => one && other && sameDisk(one, other));
    const [target, other] = [specs[index]?.path, specs[before]?.path];
    return target && other ? [failure('TARGET_TWICE', { target, other })] : [];
  });
}

async function checkRights(specs: readonly TargetSpec[]): Promise<void> {
  for (const { path } of specs) {
    await access(path, constants.W_OK).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EACCES') throw failure('NEEDS_ROOT', { target: path }, error);
    });
  }
}

/** The disk is opened as the one that was looked at: the same size, serial and sequence number. */
function target(
  spec: TargetSpec,
  report: TargetReport | undefined,
  identity: DiskIdentity | null | undefined,
): FlashTarget {
  const expected = identity
    ? { size: identity.size, serial: identity.serial, diskseq: identity.diskseq }
    : {};
  return { target: spec.path, size: report?.size_bytes ?? 0, open: () => openDisk({ ...spec, expected }) };
}

function tellResult(state: FlashState, say: (text: string) => void): void {
  for (const { target, result } of state.targets) {
    if (!result) continue;
    if (result.outcome === 'done') {
      say(doneSentence(target, result));
    } else if (result.failure) {
      warn(result.failure.message, result.failure.advice);
    }
  }
  if (state.targets.length > 1) say(`${headline(state)}.`);
}

function resultFields(state: FlashState): Record<string, unknown> {
  const done = state.targets.filter(({ result }) => result?.outcome === 'done');
  return {
    dry_run: false,
    ok: state.outcome === 'done',
    outcome: state.outcome,
    headline: headline(state),
    verified: done.length > 0 && done.every(({ result }) => result?.verified),
    sha256: state.sha256,
    targets: state.targets.map(({ target, size, result }) => ({
      path: target,
      size_bytes: size,
      outcome: result?.outcome ?? null,
      verified: result?.verified ?? false,
      bytes_written: result?.account.written ?? 0,
      bytes_zeroed: result?.account.zeroed ?? 0,
      bytes_skipped: result?.account.skipped ?? 0,
      seconds: result?.seconds ?? {},
      failure: result?.failure ?? null,
    })),
  };
}

/** The code that all failed disks share, else 1. */
function exitCodeFor(state: FlashState): ExitCode {
  if (state.outcome === 'done') return ExitCode.ok;
  if (state.outcome === 'cancelled') return ExitCode.cancelled;
  const failures = state.targets.flatMap(({ result }) =>
    result?.outcome === 'failed' ? (result.failure ?? []) : [],
  );
  const codes = new Set(failures.map(({ code }) => exitCodeOf(code)));
  const [only = ExitCode.failed] = codes;
  return codes.size === 1 ? only : ExitCode.failed;
}
