/** How the command line tells results (standard output) and problems (standard error). */
import type { Failure } from '../../shared/failure.ts';
import { problemOf } from '../source/problem.ts';
import { visible, visibleJson, visibleLines } from './visible.ts';

/** Value of `schema_version` in every JSON envelope. */
const schemaVersion = '1';

/**
 * Keeps a closed or full standard output from ending the process in the middle of its work: whoever closed the
 * pipe wants no more text (the exit code stays); any other fault of standard output is told and fails the command.
 */
export function guardStreams(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') {
      process.exitCode ||= 1;
      warn(`Standard output cannot be written: ${problemOf(error)}.`);
    }
  });
  process.stderr.on('error', () => {});
  // Node.js writes to a pipe as to a file, so that a reader who does not read would stop the program, signals and all.
  const { _handle: pipe } = process.stdout as { _handle?: { setBlocking?: (blocking: boolean) => void } };
  if (!process.stdout.isTTY) pipe?.setBlocking?.(false);
}

/** Prints lines of a result; untrusted parts must have gone through `visible`. */
export function print(text: string): void {
  if (process.stdout.writable) process.stdout.write(`${text}\n`);
}

/** Prints the JSON envelope of `command` with `fields` after its two first keys. */
export function printJson(command: string, fields: Readonly<Record<string, unknown>>): void {
  print(envelope(command, fields));
}

export function envelope(command: string, fields: Readonly<Record<string, unknown>>): string {
  return visibleJson({ schema_version: schemaVersion, command, ...fields }, 2);
}

/** Prints a problem on standard error, with advice on a second line where there is some. */
export function warn(sentence: string, advice?: string): void {
  printError(`bty: ${visible(sentence)}${advice ? `\n${visible(advice)}` : ''}`);
}

export function warnFailure(found: Failure): void {
  warn(found.message, found.advice);
}

/** Prints lines on standard error as they are (control characters escaped). */
export function printError(text: string): void {
  if (process.stderr.writable) process.stderr.write(`${visibleLines(text)}\n`);
}

export type Cell = string | number | boolean | null | undefined | readonly string[];

/** A table: upper-case headers, a row of dashes, columns two spaces apart. Cells are made visible. */
export function table(headers: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return '(no entries)';
  const body = rows.map((row) => headers.map((_, index) => cellText(row[index])));
  const head = headers.map((header) => header.toUpperCase().replaceAll('_', ' '));
  const widths = head.map((header, index) =>
    body.reduce((widest, row) => Math.max(widest, width(row[index] ?? '')), width(header)),
  );
  const lines = [head, widths.map((count) => '-'.repeat(count)), ...body];
  return lines
    .map((line) =>
      line
        .map((cell, index) => pad(cell, widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell === 'object') return cell.map(visible).join(', ');
  return visible(String(cell));
}

const width = (text: string): number => [...text].length;
const pad = (text: string, count: number): string => text + ' '.repeat(Math.max(0, count - width(text)));

/** Lines of `label: value`, the values in one column; absent values are left out. Values are made visible. */
export function block(lines: readonly (readonly [label: string, value: Cell])[]): string {
  const present = lines.filter(([, value]) => value !== null && value !== undefined);
  const widest = present.reduce((most, [label]) => Math.max(most, label.length), 0);
  return present.map(([label, value]) => `${`${label}:`.padEnd(widest + 2)}${cellText(value)}`).join('\n');
}
