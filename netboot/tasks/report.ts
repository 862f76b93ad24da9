/** A run as a person reads it, and as JUnit XML, which CI systems read. Pure, but for the output that was kept. */
import type { StepState, TaskOutput, TaskState } from '../../shared/contract/task.ts';
import { readOutput } from './output.ts';

/** Output that one step carries in a report, in letters. */
const mostLetters = 100_000;

const time = (seconds: number | null) => (seconds === null ? '-' : new Date(seconds * 1000).toISOString());
const took = ({ started_at, finished_at }: TaskState) =>
  started_at === null || finished_at === null ? 0 : Math.max(0, finished_at - started_at);

/** Plain text. */
export function reportOf(state: TaskState): string {
  const outputs = outputsOf(state);
  const rows: [string, string][] = [
    ['task', state.version === null ? state.task_ref : `${state.task_ref} (version ${state.version})`],
    ['machine', `${state.mac}${state.target_ip === null ? '' : ` at ${state.target_ip}`}, as ${state.user}`],
    ['status', state.status],
    ['began', time(state.started_at)],
    ['ended', time(state.finished_at)],
    ['host key', state.host_key?.fingerprint ?? '-'],
  ];
  const lines = rows.map(([name, value]) => `${name.padEnd(10)}${value}`);
  if (state.error !== null) lines.push('', printable(state.error), state.advice ?? '');
  for (const [index, step] of state.steps.entries()) {
    const seconds = step.duration === null ? '' : ` ${step.duration.toFixed(1)} s`;
    const code = step.exit_code === null ? '' : ` (exit code ${step.exit_code})`;
    lines.push('', `${index + 1}. ${step.name} [${step.uses}]: ${step.status}${code}${seconds}`);
    if (step.error !== null) lines.push(`   ${printable(step.error)}`);
    const text = outputs.get(index) ?? '';
    if (text !== '')
      lines.push(
        ...printable(text)
          .trimEnd()
          .split('\n')
          .map((line) => `   | ${line}`),
      );
  }
  const early = outputs.get(-1) ?? '';
  if (state.steps.length === 0 && early !== '') lines.push('', printable(early).trimEnd());
  return `${lines.join('\n')}\n`;
}

/** JUnit XML: the run is a suite, each step a case. */
export function junitOf(state: TaskState): string {
  const outputs = outputsOf(state);
  const failures = state.steps.filter(({ status }) => status === 'failed').length;
  // What ended before its first step is a case of its own, or nobody would see it.
  const early = state.steps.every(({ status }) => status === 'pending') && state.error !== null;
  const skipped = state.steps.filter(isSkipped).length;
  const suite = {
    name: `${state.task_ref} on ${state.mac}`,
    tests: state.steps.length + (early ? 1 : 0),
    failures,
    errors: early ? 1 : 0,
    skipped,
    time: took(state).toFixed(3),
    timestamp: time(state.started_at).replace(/\.\d+Z$/, ''),
  };
  const cases = state.steps.map((step, index) => caseOf(state, step, outputs.get(index) ?? ''));
  if (early) {
    const error = `<error type="${xml(state.code ?? '')}" message="${xml(state.error ?? '')}"/>`;
    cases.unshift(
      `    <testcase${attributes({ classname: state.mac, name: 'reach the machine' })}>${error}</testcase>`,
    );
  }
  const total = { tests: suite.tests, failures, errors: suite.errors, time: suite.time };
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes(total)}>`,
    `  <testsuite${attributes(suite)}>`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function caseOf(state: TaskState, step: StepState, output: string): string {
  const parts: string[] = [];
  if (step.status === 'failed') parts.push(`<failure message="${xml(step.error ?? 'failed')}"/>`);
  if (isSkipped(step)) parts.push(`<skipped message="${xml(step.error ?? step.status)}"/>`);
  if (output !== '') parts.push(`<system-out>${xml(output)}</system-out>`);
  const named = { classname: state.mac, name: step.name, time: (step.duration ?? 0).toFixed(3) };
  return `    <testcase${attributes(named)}>${parts.join('')}</testcase>`;
}

function isSkipped({ status }: StepState): boolean {
  return status === 'skipped' || status === 'pending' || status === 'cancelled';
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${xml(String(value))}"`)
    .join('');
}

/** `text` for XML 1.0, which has no way to write most control characters, nor half a surrogate pair. */
function xml(text: string): string {
  return (
    text
      .toWellFormed()
      // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are what XML has no place for
      .replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
  );
}

/** Without what would move the cursor of a terminal that shows it. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are taken out
  return text.replaceAll(/\r\n?/g, '\n').replaceAll(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '\ufffd');
}

/** What each step wrote: the start of it, as far as a report carries it. */
function outputsOf({ run_dir }: TaskState): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  for (let at = 0; ; ) {
    const { lines, next } = readOutput(run_dir, at);
    if (lines.length === 0) return found;
    for (const { text } of lines) {
      const read = pieceIn(text);
      if (read === null) continue;
      const { step, text: piece } = read;
      const before = found.get(step) ?? '';
      if (before.length >= mostLetters) continue;
      const whole = before + piece;
      found.set(
        step,
        whole.length > mostLetters ? `${whole.slice(0, mostLetters)}\n[more in the output]\n` : whole,
      );
    }
    at = next;
  }
}

/** Null for half a line, as a full disk or a crash leaves it. */
function pieceIn(line: string): TaskOutput | null {
  try {
    return JSON.parse(line) as TaskOutput;
  } catch {
    return null;
  }
}
