/** What a terminal sends, as keys. */

/** A key: a printable character by itself, every other one by its name. */
export type Key =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'named'; readonly name: KeyName }
  /** The terminal's answer to the question where its cursor is (ECMA-48, CPR). */
  | { readonly kind: 'position'; readonly row: number; readonly column: number };

export type KeyName =
  | 'up'
  | 'down'
  | 'left'
  | 'right'
  | 'home'
  | 'end'
  | 'page-up'
  | 'page-down'
  | 'enter'
  | 'tab'
  | 'back-tab'
  | 'escape'
  | 'backspace'
  | 'delete'
  | 'ctrl-c'
  | 'ctrl-l'
  | 'ctrl-u';

const named = (name: KeyName): Key => ({ kind: 'named', name });

const controls: Readonly<Record<number, KeyName>> = {
  3: 'ctrl-c',
  8: 'backspace',
  9: 'tab',
  10: 'enter',
  12: 'ctrl-l',
  13: 'enter',
  21: 'ctrl-u',
  127: 'backspace',
};

/** Final letters of `ESC [` and `ESC O` sequences (xterm, VT220, the Linux console). */
const letters: Readonly<Record<string, KeyName>> = {
  A: 'up',
  B: 'down',
  C: 'right',
  D: 'left',
  H: 'home',
  F: 'end',
  Z: 'back-tab',
  M: 'enter',
};

/** Numbers of `ESC [ n ~`. */
const numbers: Readonly<Record<string, KeyName>> = {
  1: 'home',
  3: 'delete',
  4: 'end',
  5: 'page-up',
  6: 'page-down',
  7: 'home',
  8: 'end',
};

/** A sequence longer than this is none. */
const longest = 32;

/**
 * Turns bytes into keys. A sequence may come in pieces; `waiting` says that one has begun, and `flush`, called when
 * nothing more came for a while, makes a lone ESC out of it.
 */
export class KeyReader {
  readonly #decoder = new TextDecoder('utf-8');
  #rest = '';

  /** True when an escape sequence has begun and not ended. */
  get waiting(): boolean {
    return this.#rest !== '';
  }

  feed(bytes: Uint8Array): readonly Key[] {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    const keys: Key[] = [];
    while (this.#rest !== '') {
      const taken = take(this.#rest);
      if (taken === null) break;
      this.#rest = this.#rest.slice(taken.length);
      if (taken.key) keys.push(taken.key);
    }
    return keys;
  }

  flush(): readonly Key[] {
    const isEscape = this.#rest === '\u001b';
    this.#rest = '';
    return isEscape ? [named('escape')] : [];
  }
}

interface Taken {
  readonly length: number;
  /** Null for what no key of ours sends. */
  readonly key: Key | null;
}

/** The first key of `text`; null when more has to come. */
function take(text: string): Taken | null {
  const code = text.codePointAt(0) ?? 0;
  if (code === 0x1b) return takeSequence(text);
  if (code < 0x20 || code === 0x7f) {
    const name = controls[code];
    return { length: 1, key: name === undefined ? null : named(name) };
  }
  const character = String.fromCodePoint(code);
  const isText = !/[\p{Cc}\p{Cs}\ufffd]/u.test(character);
  return { length: character.length, key: isText ? { kind: 'text', text: character } : null };
}

function takeSequence(text: string): Taken | null {
  const second = text[1];
  if (second === undefined) return null;
  // On a slow line ESC and the next key come together.
  if (second !== '[' && second !== 'O') return { length: 1, key: named('escape') };
  // The Linux console sends its function keys as ESC [ [ and a letter.
  if (text[2] === '[') return text.length < 4 ? null : { length: 4, key: null };
  let end = 2;
  while (end < text.length && end < longest && /[0-9;<=>?]/.test(text[end] ?? '')) end++;
  const final = text[end];
  if (final === undefined) return end < longest ? null : { length: end, key: null };
  const parameters = text.slice(2, end);
  // A control character breaks a sequence off and counts by itself.
  const length = /[@-~]/.test(final) ? end + 1 : end;
  return { length, key: sequenceKey(parameters, final) };
}

function sequenceKey(parameters: string, final: string): Key | null {
  if (final === 'R') {
    const [, row, column] = /^(\d{1,4});(\d{1,4})$/.exec(parameters) ?? [];
    return row && column ? { kind: 'position', row: Number(row), column: Number(column) } : null;
  }
  const [number = ''] = parameters.split(';');
  const name = final === '~' ? numbers[number] : letters[final];
  return name === undefined ? null : named(name);
}
