// C0 and C1 controls and DEL drive a terminal; the bidirectional controls (UAX #9) and the line separators make a
// name look like another one.
const hidden = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu;

const named: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `text` in one line, with everything that a terminal would obey or hide written as an escape. */
export function visible(text: string): string {
  return text.replace(hidden, (character) => named[character] ?? escaped(character));
}

/** As `visible`, for text of several lines: line feeds stay. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n');
}

/** JSON of `value` that is safe to show in a terminal: JSON itself escapes only the C0 controls. */
export function visibleJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(hidden, (character) =>
    character === '\n' ? character : unicode(character),
  );
}

const unicode = (character: string): string =>
  `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;

const escaped = (character: string): string => {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : unicode(character);
};
