/** Text as a terminal shows it: how many columns it takes, what is shown of it, how it is cut, filled and wrapped. */
import { visible } from '../cli/visible.ts';

/** What a terminal can show. `ascii`: serial consoles, KVM switches, firmware. */
export type Charset = 'ascii' | 'unicode';

// Letters, digits, marks of punctuation and symbols that every terminal draws one column wide. Everything else is
// ambiguous from terminal to terminal (UAX #11), so that it would shift the rest of its line.
const narrow =
  /^[\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0377\u037a-\u037f\u0384-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u20a0-\u20b5\u2190-\u2193\u2500-\u257f\u2580-\u259f]$/u;
// Han, kana, hangul syllables and full-width forms are two columns wide in every terminal that has them.
const wide = /^[\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff60]$/u;

const isPlain = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);

/** Columns of one character that `shown` has let through. */
function columnsOf(character: string): number {
  return wide.test(character) ? 2 : 1;
}

/** `text` with all that the terminal would obey, hide or draw in unknown width written as an escape. */
export function shown(text: string, charset: Charset): string {
  if (isPlain(text)) return text;
  let result = '';
  for (const character of visible(text)) {
    const drawn =
      isPlain(character) || (charset === 'unicode' && (narrow.test(character) || wide.test(character)));
    result += drawn ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  }
  return result;
}

/** Columns that shown text takes. */
export function width(text: string): number {
  if (isPlain(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += columnsOf(character);
  return columns;
}

/** The longest start of `text` within `columns`. */
function start(text: string, columns: number): string {
  if (isPlain(text)) return text.slice(0, Math.max(0, columns));
  let [result, used] = ['', 0];
  for (const character of text) {
    used += columnsOf(character);
    if (used > columns) break;
    result += character;
  }
  return result;
}

/** The longest end of `text` within `columns`. */
function end(text: string, columns: number): string {
  const characters = [...text];
  let [from, used] = [characters.length, 0];
  while (from > 0) {
    used += columnsOf(characters[from - 1] ?? '');
    if (used > columns) break;
    from--;
  }
  return characters.slice(from).join('');
}

/** `text` within `columns`, with a mark where something is left out at its end. */
export function cut(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  if (columns <= 0) return '';
  const mark = '..'.slice(0, Math.max(0, columns - 1));
  return start(text, columns - mark.length) + mark;
}

/** As `cut`, but what is left out is in the middle: the ends of names of images tell them apart. */
export function squeeze(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  if (columns < 8) return cut(text, columns);
  const tail = Math.min(12, Math.floor((columns - 2) / 2));
  return `${start(text, columns - 2 - tail)}..${end(text, tail)}`;
}

/** The end of `text` within `columns`: what is being typed. */
export function tail(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  return columns <= 2 ? end(text, columns) : `..${end(text, columns - 2)}`;
}

/** `text` in exactly `columns`. */
export function fit(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const kept = cut(text, columns);
  const room = ' '.repeat(Math.max(0, columns - width(kept)));
  return align === 'left' ? kept + room : room + kept;
}

/** `text` in lines of at most `columns`, broken at blanks where there are some. */
export function wrap(text: string, columns: number): readonly string[] {
  const most = Math.max(1, columns);
  const lines: string[] = [];
  let line = '';
  for (let word of text.split(' ')) {
    if (line !== '' && width(line) + 1 + width(word) <= most) {
      line += ` ${word}`;
      continue;
    }
    if (line !== '') lines.push(line);
    while (width(word) > most) {
      const piece = start(word, most) || [...word].slice(0, 1).join('');
      lines.push(cut(piece, most));
      word = word.slice(piece.length);
    }
    line = word;
  }
  lines.push(line);
  return lines;
}

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Powers of ten, as disks are sold: `2.0 GB`. */
export function bytesText(bytes: number): string {
  let exponent = 0;
  while (exponent < units.length - 1 && bytes >= 1000 ** (exponent + 1)) exponent++;
  const value = bytes / 1000 ** exponent;
  return `${value.toFixed(exponent === 0 || value >= 100 ? 0 : 1)} ${units[exponent]}`;
}

/** `0:42`, `12:05`, `1:02:03`. */
export function timeText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const kept = parts[0] === 0 ? parts.slice(1) : parts;
  return kept.map((part, index) => (index === 0 ? `${part}` : `${part}`.padStart(2, '0'))).join(':');
}
