import type { Comparison } from './groups.ts';
import type { Medium } from './options.ts';
import type { Usage } from './pipeline.ts';
import { type Ratio, ratio, type Spread, spread } from './statistics.ts';

/** What the rounds of one contender gave. */
export type Measured = readonly Usage[];

export interface Side {
  readonly name: string;
  readonly wall: Spread;
  /** Median of CPU seconds. */
  readonly cpu: number;
  /** Largest peak of memory in bytes. */
  readonly peak: number;
}

export type Row =
  | {
      readonly kind: 'compared';
      readonly comparison: Comparison;
      readonly rounds: number;
      readonly ours: Side;
      readonly theirs: Side;
      readonly ratio: Ratio;
      /** Null where no bar is meant for this medium. */
      readonly verdict: Verdict | null;
    }
  | { readonly kind: 'skipped'; readonly comparison: Comparison; readonly reason: string };

export interface Verdict {
  readonly time: boolean;
  /** Null where nothing bounds it. */
  readonly cpu: { readonly most: number; readonly kept: boolean } | null;
  readonly memory: boolean | null;
}

/** `hashSeconds` is the CPU time that hashing what `comparison.cpuBound` names takes. */
export function compare(
  comparison: Comparison,
  ours: Measured,
  theirs: Measured,
  medium: Medium,
  hashSeconds: number,
): Row {
  if (ours.length === 0 || theirs.length === 0) {
    return { kind: 'skipped', comparison, reason: 'no round was finished' };
  }
  const sides = [side(comparison.ours, ours), side(comparison.theirs, theirs)] as const;
  const compared = ratio(walls(ours), walls(theirs));
  const most = sides[1].cpu + hashSeconds;
  const verdict: Verdict = {
    time: compared.ofMedians <= comparison.bar,
    cpu: comparison.cpuBound && { most, kept: sides[0].cpu <= most },
    memory: comparison.memoryBar === null ? null : sides[0].peak <= comparison.memoryBar,
  };
  return {
    kind: 'compared',
    comparison,
    rounds: Math.min(ours.length, theirs.length),
    ours: sides[0],
    theirs: sides[1],
    ratio: compared,
    verdict: comparison.barMedium === medium ? verdict : null,
  };
}

const walls = (measured: Measured) => measured.map(({ wall }) => wall);

function side(name: string, measured: Measured): Side {
  return {
    name,
    wall: spread(walls(measured)),
    cpu: spread(measured.map(({ cpu }) => cpu)).median,
    peak: Math.max(...measured.map(({ peak }) => peak)),
  };
}

const seconds = ({ median, min, max }: Spread) =>
  `${median.toFixed(2)} [${min.toFixed(2)}-${max.toFixed(2)}]`;
const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
const word = (kept: boolean) => (kept ? 'ok' : 'OVER');

const longestRemark = 160;
/** A message of several lines or many words cut to what a table bears. */
function firstWords(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > longestRemark ? `${line.slice(0, longestRemark)} ...` : line;
}

type Cells = readonly string[];

/** Wall-clock time of both sides: a line of headings, then a line a row. */
export function timeTable(rows: readonly Row[]): readonly Cells[] {
  const headings = ['work', 'bty, s', 'against', 'that, s', 'ratio', 'by round', 'at most', ''];
  return [headings, ...rows.map(timeCells)];
}

function timeCells(row: Row): Cells {
  const { work, theirs, bar } = row.comparison;
  if (row.kind === 'skipped') return [work, 'skipped', theirs, firstWords(row.reason)];
  const { verdict } = row;
  return [
    work,
    seconds(row.ours.wall),
    theirs,
    seconds(row.theirs.wall),
    row.ratio.ofMedians.toFixed(2),
    row.ratio.ofRounds.toFixed(2),
    verdict ? bar.toFixed(2) : '-',
    verdict ? word(verdict.time) : '-',
  ];
}

/** CPU time and memory of both sides: a line of headings, then a line a row that was measured. */
export function costTable(rows: readonly Row[]): readonly Cells[] {
  const headings = [
    'work',
    'CPU s: bty',
    'against',
    'that',
    'at most',
    '',
    'MiB: bty',
    'that',
    'at most',
    '',
  ];
  return [headings, ...rows.flatMap((row) => (row.kind === 'compared' ? [costCells(row)] : []))];
}

function costCells({ comparison, ours, theirs, verdict }: Row & { readonly kind: 'compared' }): Cells {
  return [
    comparison.work,
    ours.cpu.toFixed(2),
    theirs.name,
    theirs.cpu.toFixed(2),
    verdict?.cpu ? verdict.cpu.most.toFixed(2) : '-',
    verdict?.cpu ? word(verdict.cpu.kept) : '-',
    mebibytes(ours.peak),
    mebibytes(theirs.peak),
    verdict && comparison.memoryBar !== null ? mebibytes(comparison.memoryBar) : '-',
    verdict && verdict.memory !== null ? word(verdict.memory) : '-',
  ];
}

/** Columns under one another. A line with fewer cells than the first one ends in a remark of any length. */
export function textTable(lines: readonly Cells[]): string {
  const columns = lines[0]?.length ?? 0;
  const wide = (line: Cells, column: number) => line.length === columns || column < line.length - 1;
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...lines.map((line) => (wide(line, column) ? (line[column]?.length ?? 0) : 0))),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function markdownTable(lines: readonly Cells[]): string {
  const [head = [], ...rest] = lines;
  const text = (line: Cells) =>
    `| ${head.map((_, column) => (line[column] ?? '').replaceAll('|', '\\|').replace(/^OVER$/, '**OVER**')).join(' | ')} |`;
  return [text(head), `|${'---|'.repeat(head.length)}`, ...rest.map(text)].join('\n');
}
