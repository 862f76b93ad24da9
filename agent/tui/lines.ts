/** Lines of a screen, before anybody knows which terminal draws them. */
import { type Charset, cut, fit, shown, width, wrap } from './text.ts';

export type Style = 'plain' | 'title' | 'chosen' | 'bad' | 'good' | 'quiet';

export interface Line {
  readonly text: string;
  readonly style: Style;
}

/** Columns and rows. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** What the parts of a view need to know of the terminal. */
export interface Sheet {
  readonly columns: number;
  readonly charset: Charset;
}

export const line = (text: string, style: Style = 'plain'): Line => ({ text, style });
export const blank: Line = line('');

/** `text`, indented and wrapped. */
export function paragraph(
  text: string,
  { columns, charset }: Sheet,
  style: Style = 'plain',
  [first, later]: readonly [string, string] = [' ', ' '],
): readonly Line[] {
  const room = columns - Math.max(first.length, later.length) - 1;
  return wrap(shown(text, charset), room).map((part, index) =>
    line(cut((index === 0 ? first : later) + part, columns), style),
  );
}

/** `== left ======== right ==`; of equals signs where the keys go to. */
export function heading(left: string, right: string, focused: boolean, { columns, charset }: Sheet): Line {
  const rule = focused ? '=' : '-';
  const end = right === '' ? '' : ` ${shown(right, charset)} ${rule.repeat(2)}`;
  const begin = `${rule.repeat(2)} ${shown(left, charset)} `;
  // The right part goes first when there is no room for both.
  const room = columns - width(end);
  if (room < Math.min(width(begin), 16)) return line(cut(begin, columns), focused ? 'title' : 'plain');
  const kept = cut(begin, room);
  const text = kept + rule.repeat(Math.max(0, room - width(kept))) + end;
  return line(cut(text, columns), focused ? 'title' : 'plain');
}

/** `left` and, when there is room, `right` at the end of the line. */
export function ends(left: string, right: string, sheet: Sheet, style: Style = 'plain'): Line {
  const [begin, end] = [shown(left, sheet.charset), shown(right, sheet.charset)];
  const gap = sheet.columns - width(begin) - width(end);
  if (gap >= 2) return line(begin + ' '.repeat(gap) + end, style);
  return line(cut(`${begin}  ${end}`, sheet.columns), style);
}

/** A name and its value, the values in one column. */
export function field(
  name: string,
  value: string,
  { columns, charset }: Sheet,
  style: Style = 'plain',
): Line {
  const lead = columns < 40 ? ` ${name}: ` : `   ${fit(name, 14)} `;
  return line(cut(lead + shown(value, charset), columns), style);
}

/** Exactly `rows` lines: what does not fit is cut off, with a word about it when there is room for one. */
export function filled(lines: readonly Line[], rows: number): readonly Line[] {
  if (rows <= 0) return [];
  if (lines.length > rows && rows > 3)
    return [...lines.slice(0, rows - 1), line(`   .. ${lines.length - rows + 1} more lines`, 'quiet')];
  return [...lines.slice(0, rows), ...Array.from({ length: rows - lines.length }, () => blank)];
}
