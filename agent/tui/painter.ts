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
  const [one, other] = [[...old.text], [...line.text]];
  const from = sameRendition ? common(one, other) : 0;
  const column = width(other.slice(0, from).join(''));
  let rest = other.slice(from);
  const shorter = width(old.text) > width(line.text);
  // Digits change in the middle of a line: what follows them stays when it stays where it is.
  if (sameRendition && width(old.text) === width(line.text)) {
    const same = common(one.slice(from).reverse(), rest.toReversed());
    const kept = rest.slice(0, rest.length - same);
    if (width(kept.join('')) === width(one.slice(from, one.length - same).join(''))) rest = kept;
  }
  const text = rest.join('');
  const shown = text !== '' && rendition !== '' ? `${csi}${rendition}m${text}${csi}0m` : text;
  return `${csi}${row + 1};${column + 1}H${shown}${shorter ? `${csi}K` : ''}`;
}

/** How many characters both begin with. */
function common(one: readonly string[], other: readonly string[]): number {
  let count = 0;
  while (count < one.length && count < other.length && one[count] === other[count]) count++;
  return count;
}
