/** What a machine, or a library, says: fit for a sentence. */

/** Longest text of a machine's that goes into a sentence, in letters. */
const mostLetters = 300;

/** A machine's own words, for a sentence: bounded, and without what a terminal would obey. */
export function told(text: string): string {
  const short = text.length > mostLetters ? `${text.slice(0, mostLetters - 1)}…` : text;
  return short.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '\ufffd');
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
