/** What the benches find that are not the flash engine's, as rows of one kind. */
import { type Ratio, ratio, type Spread, spread } from './statistics.ts';

/** How often it is measured, who is told how far it is, and what ends it. */
export interface Run {
  readonly rounds: number;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** What the project demands of itself: of the ratio to the other, or of the value itself. */
export interface Bar {
  readonly of: 'ratio' | 'value';
  readonly side: 'at least' | 'at most';
  readonly limit: number;
}

export interface Finding {
  readonly work: string;
  readonly unit: string;
  readonly ours: Spread;
  /** Null where there is nobody to compare with. */
  readonly theirs: { readonly name: string; readonly spread: Spread; readonly ratio: Ratio } | null;
  readonly bar: Bar | null;
}

/** One section of the report. */
export interface Section {
  readonly title: string;
  /** How it was measured. */
  readonly method: string;
  readonly findings: readonly Finding[];
}

export const ratioAtLeast = (limit: number): Bar => ({ of: 'ratio', side: 'at least', limit });
export const ratioAtMost = (limit: number): Bar => ({ of: 'ratio', side: 'at most', limit });
export const atLeast = (limit: number): Bar => ({ of: 'value', side: 'at least', limit });
export const atMost = (limit: number): Bar => ({ of: 'value', side: 'at most', limit });

/** A row; without measurements of ours there is none. */
export function finding(
  work: string,
  unit: string,
  ours: readonly number[],
  bar: Bar | null,
  theirs: { readonly name: string; readonly values: readonly number[] } | null = null,
): Finding {
  const other =
    theirs === null || theirs.values.length === 0
      ? null
      : { name: theirs.name, spread: spread(theirs.values), ratio: ratio(ours, theirs.values) };
  return { work, unit, ours: spread(ours), theirs: other, bar };
}

/** Whether the bar is kept; null where there is none, or nothing to hold it against. */
export function isKept({ ours, theirs, bar }: Finding): boolean | null {
  if (bar === null || Number.isNaN(ours.median)) return null;
  const value = bar.of === 'value' ? ours.median : theirs?.ratio.ofMedians;
  if (value === undefined || Number.isNaN(value)) return null;
  return bar.side === 'at least' ? value >= bar.limit : value <= bar.limit;
}

type Cells = readonly string[];

const digits = (value: number) =>
  Number.isNaN(value)
    ? '-'
    : value >= 100
      ? value.toFixed(0)
      : value >= 10
        ? value.toFixed(1)
        : value.toFixed(2);
const told = ({ median, min, max }: Spread) =>
  min === max ? digits(median) : `${digits(median)} [${digits(min)}-${digits(max)}]`;

export function cells(findings: readonly Finding[]): readonly Cells[] {
  return [
    ['work', 'unit', 'bty', 'against', 'that', 'ratio', 'by round', 'bar', ''],
    ...findings.map((one): Cells => {
      const { work, unit, ours, theirs, bar } = one;
      const kept = isKept(one);
      return [
        work,
        unit,
        told(ours),
        theirs?.name ?? '-',
        theirs === null ? '-' : told(theirs.spread),
        theirs === null ? '-' : digits(theirs.ratio.ofMedians),
        theirs === null ? '-' : digits(theirs.ratio.ofRounds),
        bar === null ? '-' : `${bar.of === 'ratio' ? 'ratio ' : ''}${bar.side} ${bar.limit}`,
        kept === null ? '-' : kept ? 'ok' : 'OVER',
      ];
    }),
  ];
}
