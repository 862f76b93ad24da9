/** What a request for a file gets: all of it, a part, or a status without a body (RFC 9110, 13 and 14). */

/** The headers of a request that decide, as Node.js gives them. */
export interface RangeHeaders {
  readonly range?: string | undefined;
  readonly 'if-range'?: string | undefined;
  readonly 'if-match'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
  readonly 'if-modified-since'?: string | undefined;
  readonly 'if-unmodified-since'?: string | undefined;
}

/** What is asked for, as far as conditions speak of it. */
export interface Represented {
  /** Bytes, null while nobody knows how long it will be. */
  readonly size: number | null;
  /** Strong entity tags with their quotes; the first one is sent, each of them matches. */
  readonly etags: readonly string[];
  readonly modified: Date | null;
}

/** Bytes of a file, both ends inclusive. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

export type Answer =
  | { readonly kind: 'whole' }
  | ({ readonly kind: 'part' } & Span)
  /** Two and more, in the order in which they were asked for; none overlaps another one. */
  | { readonly kind: 'parts'; readonly parts: readonly Span[] }
  | { readonly kind: 'not-modified' }
  | { readonly kind: 'precondition-failed' }
  | { readonly kind: 'unsatisfiable' };

/** Conditions first, then the range, in the order of RFC 9110, 13.2.2. */
export function answerFor(headers: RangeHeaders, file: Represented): Answer {
  const ifMatch = headers['if-match'];
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, file.etags, false)) return { kind: 'precondition-failed' };
  } else if (isNewer(file.modified, headers['if-unmodified-since'])) return { kind: 'precondition-failed' };
  const ifNoneMatch = headers['if-none-match'];
  if (ifNoneMatch !== undefined) {
    if (matches(ifNoneMatch, file.etags, true)) return { kind: 'not-modified' };
  } else if (isNewer(file.modified, headers['if-modified-since']) === false) return { kind: 'not-modified' };
  if (headers.range === undefined || !rangeHolds(headers['if-range'], file)) return { kind: 'whole' };
  return rangeOf(headers.range, file.size);
}

/** More ranges than that in one request get the whole: nobody who is honest asks for so many. */
const mostRanges = 32;
const longestHeader = 2048;

/**
 * Ranges of bytes; other units and nonsense get the whole (RFC 9110, 14.2 allows it), and so do several ranges that
 * are many or overlap, which only multiply the work (14.2 and 17.15).
 */
export function rangeOf(header: string, size: number | null): Answer {
  const list = header.length <= longestHeader ? /^\s*bytes\s*=(.*)$/i.exec(header)?.[1] : undefined;
  if (list === undefined || size === null) return { kind: 'whole' };
  const texts = list
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '');
  if (texts.length === 0 || texts.length > mostRanges) return { kind: 'whole' };
  const parts: Span[] = [];
  for (const text of texts) {
    const found = spanOf(text, size);
    if (found === 'nonsense') return { kind: 'whole' };
    if (found !== 'outside') parts.push(found);
  }
  const [only] = parts;
  if (only === undefined) return { kind: 'unsatisfiable' };
  if (parts.length === 1) return { kind: 'part', ...only };
  return overlap(parts) ? { kind: 'whole' } : { kind: 'parts', parts };
}

function spanOf(text: string, size: number): Span | 'nonsense' | 'outside' {
  const found = /^(\d{0,16})\s*-\s*(\d{0,16})$/.exec(text);
  if (found === null) return 'nonsense';
  const [, from = '', to = ''] = found;
  if (from === '') {
    if (to === '') return 'nonsense';
    const length = Math.min(Number(to), size);
    return length === 0 ? 'outside' : { first: size - length, last: size - 1 };
  }
  const first = Number(from);
  if (to !== '' && Number(to) < first) return 'nonsense';
  if (first >= size) return 'outside';
  return { first, last: to === '' ? size - 1 : Math.min(Number(to), size - 1) };
}

function overlap(parts: readonly Span[]): boolean {
  const sorted = parts.toSorted((one, other) => one.first - other.first);
  return sorted.some(({ first }, index) => index > 0 && first <= (sorted[index - 1]?.last ?? -1));
}

function rangeHolds(ifRange: string | undefined, file: Represented): boolean {
  if (ifRange === undefined) return true;
  const wanted = ifRange.trim();
  // A weak tag never matches here (RFC 9110, 13.1.5).
  if (wanted.startsWith('"') || wanted.startsWith('W/')) return file.etags.includes(wanted);
  const date = Date.parse(wanted);
  return file.modified !== null && !Number.isNaN(date) && seconds(file.modified) * 1000 === date;
}

function matches(header: string, etags: readonly string[], weakly: boolean): boolean {
  if (header.trim() === '*') return true;
  const given = header.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return given.some((tag) => etags.includes(weakly ? tag.replace(/^W\//, '') : tag));
}

/** Whether the file changed after `header`'s second; null where there is nothing to compare. */
function isNewer(modified: Date | null, header: string | undefined): boolean | null {
  if (header === undefined || modified === null) return null;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : seconds(modified) * 1000 > date;
}

const seconds = (date: Date): number => Math.floor(date.getTime() / 1000);
