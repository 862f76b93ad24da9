/**
 * From the lines on a screen to other lines with as few bytes as that takes: a serial console at 115200 baud carries
 * eleven of them in a millisecond. Only what ECMA-48 and every terminal since the VT100 has is used: cursor position,
 * erase to the end of the line, erase the screen, and, where the terminal has them, renditions.
 */
import type { Line, Style } from './lines.ts';
import { width } from './text.ts';

/** `none`: not a single rendition; `mono`: bold and reverse; `colour`: the eight colours too. */
export type Renditions = 'none' | 'mono' | 'colour';

const csi = '\u001b[';
/** Parameters of SGR. */
const sgr: Readonly<Record<Renditions, Readonly<Record<Style, string>>>> = {
  none: { plain: '', title: '', chosen: '', bad: '', good: '', quiet: '' },
  mono: { plain: '', title: '1', chosen: '7', bad: '1', good: '', quiet: '' },
  colour: { plain: '', title: '1;36', chosen: '7', bad: '1;31', good: '1;32', quiet: '36' },
};

/** Alternate screen where there is one, no cursor, and no jump to the next line at the right edge. */
export const enterScreen = `${csi}?1049h${csi}?25l${csi}?7l`;
/** Everything back: rendition, wrapping, the cursor, the screen from before (else an empty one). */
export const leaveScreen = `${csi}0m${csi}2J${csi}H${csi}?7h${csi}?25h${csi}?1049l`;
/** Asks where the cursor stops on its way to the lower right corner: terminals on a serial line tell their size so. */
export const askSize = `\u001b7${csi}999;999H${csi}6n\u001b8`;

/** Bytes that make a screen with `before` (null: with anything) show `after`. */
export function paint(before: readonly Line[] | null, after: readonly Line[], look: Renditions): string {
  let out = before === null ? `${csi}0m${csi}2J` : '';
  const rows = Math.max(before?.length ?? 0, after.length);
  for (let row = 0; row < rows; row++) {
    const old = before?.[row] ?? { text: '', style: 'plain' as const };
    out += repaint(row, trimmed(old), trimmed(after[row] ?? { text: '', style: 'plain' }), look);
  }
  return out;
}

/** Blanks at the end show nothing, but in reverse. */
const trimmed = ({ text, style }: Line): Line => ({
  style,
  text: style === 'chosen' ? text : text.trimEnd(),
});

function repaint(row: number, old: Line, line: Line, look: Renditions): string {
  const rendition = sgr[look][line.style];
  const sameRendition = rendition === sgr[look][old.style];
  if (sameRendition && old.text === line.text) return '';
  const draw = (column: number, text: string): string => {
    const shown = text !== '' && rendition !== '' ? `${csi}${rendition}m${text}${csi}0m` : text;
    return `${csi}${row + 1};${column + 1}H${shown}`;
  };
  if (sameRendition && width(line.text) === line.text.length && width(old.text) === old.text.length)
    return changes(old.text, line.text)
      .map(({ from, to }) => draw(from, line.text.slice(from, to)))
      .join('')
      .concat(old.text.length > line.text.length ? ending(row, line.text, old.text) : '');
  return `${draw(0, line.text)}${width(old.text) > width(line.text) ? `${csi}K` : ''}`;
}

/** Erases what is left of `old` behind `text`, when the cursor is not there already. */
function ending(row: number, text: string, old: string): string {
  const last = changes(old, text).at(-1);
  return last?.to === text.length && last.to > last.from
    ? `${csi}K`
    : `${csi}${row + 1};${text.length + 1}H${csi}K`;
}

/** A jump of the cursor costs as much as so many characters. */
const jump = 8;

/** Where `text` differs from `old`: digits change in the middle of a line, a bar at its end. */
function changes(old: string, text: string): readonly { readonly from: number; readonly to: number }[] {
  const found: { from: number; to: number }[] = [];
  for (let at = 0; at < text.length; at++) {
    if (text[at] === old[at]) continue;
    const last = found.at(-1);
    if (last && at - last.to < jump) last.to = at + 1;
    else found.push({ from: at, to: at + 1 });
  }
  return found;
}
