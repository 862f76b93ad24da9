import { createHash } from 'node:crypto';
import { type SaxesAttributePlain, SaxesParser, type SaxesTagPlain } from 'saxes';

/** A range as the document states it, in blocks, both ends included. */
export interface StatedRange {
  readonly first: number;
  readonly last: number;
  readonly digests: Readonly<Record<string, string>>;
}

/** The fields of a block map, unchecked against one another. */
export interface Stated {
  readonly version: string;
  /** Trimmed text of each element of a single value, by its name. */
  readonly fields: ReadonlyMap<string, string>;
  readonly ranges: readonly StatedRange[];
}

/** What is wrong with a block map, in words that go on after "cannot be used: ". */
export class BmapProblem extends Error {}

const valueElements = [
  'ImageSize',
  'BlockSize',
  'BlocksCount',
  'MappedBlocksCount',
  'ChecksumType',
  'BmapFileChecksum',
  'BmapFileSHA1',
];
/** Elements and attributes that newer minor versions may add, within what a map has use for. */
const deepest = 8;
const mostAttributes = 16;
const longestText = 4096;
/** As many as the largest file holds when they have checksums. */
export const mostRanges = 700_000;
const longestQuote = 160;
/** Characters parsed at a time; the parser does some 8 million a second. */
const sliceLength = 1 << 18;

/** Reads the elements of a block map, yielding after each slice of work. Throws BmapProblem. */
export function* readDocument(text: string): Generator<void, Stated> {
  const reader = new DocumentReader();
  const parser = new SaxesParser({ position: true, xmlns: false });
  parser.on('error', (error) => {
    throw new BmapProblem(`it is not well-formed XML (${brief(error.message)})`);
  });
  parser.on('doctype', () => {
    throw new BmapProblem('it has a document type declaration, which no block map needs');
  });
  let attributes = 0;
  parser.on('opentagstart', () => {
    attributes = 0;
    reader.checkDepth();
  });
  parser.on('attribute', (_attribute: SaxesAttributePlain) => {
    if (++attributes > mostAttributes) throw new BmapProblem('an element has too many attributes');
  });
  parser.on('opentag', (tag) => reader.open(tag));
  parser.on('closetag', () => reader.close());
  parser.on('text', (content) => reader.text(content));
  parser.on('cdata', (content) => reader.text(content));
  for (let start = 0; start < text.length; start += sliceLength) {
    parser.write(text.slice(start, start + sliceLength));
    yield;
  }
  parser.close();
  return reader.finish();
}

const none: Readonly<Record<string, string>> = {};

class DocumentReader {
  readonly #path: string[] = [];
  readonly #fields = new Map<string, string>();
  readonly #ranges: StatedRange[] = [];
  #version: string | undefined;
  #mapSeen = false;
  #text = '';
  #digests: Readonly<Record<string, string>> = none;

  checkDepth(): void {
    if (this.#path.length >= deepest) throw new BmapProblem('its elements are nested too deeply');
  }

  open(tag: SaxesTagPlain): void {
    const place = this.#place();
    this.#path.push(tag.name);
    this.#text = '';
    if (place === '') this.#openRoot(tag);
    else if (place === 'bmap' && tag.name === 'BlockMap') {
      if (this.#mapSeen) throw new BmapProblem('it states BlockMap twice');
      this.#mapSeen = true;
    } else if (place === 'bmap/BlockMap' && tag.name === 'Range') {
      this.#digests = none;
      for (const name of ['chksum', 'sha1']) {
        const stated = tag.attributes[name];
        if (stated !== undefined) this.#digests = { ...this.#digests, [name]: stated.trim() };
      }
    }
  }

  text(content: string): void {
    if (!this.#wanted()) return;
    this.#text += content;
    if (this.#text.length > longestText)
      throw new BmapProblem(`the text of ${this.#path.at(-1)} is too long`);
  }

  close(): void {
    const wanted = this.#wanted();
    const name = this.#path.pop() ?? '';
    if (!wanted) return;
    const text = this.#text.trim();
    if (name === 'Range') {
      if (this.#ranges.length === mostRanges) throw new BmapProblem(`it has more than ${mostRanges} ranges`);
      this.#ranges.push({ ...blocksOf(text), digests: this.#digests });
      return;
    }
    if (this.#fields.has(name)) throw new BmapProblem(`it states ${name} twice`);
    this.#fields.set(name, text);
  }

  finish(): Stated {
    if (this.#version === undefined) throw new BmapProblem('it is empty');
    if (!this.#mapSeen) throw new BmapProblem('it has no BlockMap');
    return { version: this.#version, fields: this.#fields, ranges: this.#ranges };
  }

  #openRoot(tag: SaxesTagPlain): void {
    if (tag.name !== 'bmap') {
      throw new BmapProblem(`it is no block map (its outermost element is "${brief(tag.name)}")`);
    }
    const version = tag.attributes.version?.trim() ?? '';
    if (!/^[12]\.\d{1,4}$/.test(version)) {
      throw new BmapProblem(`version "${brief(version)}" of the format is not known`);
    }
    this.#version = version;
  }

  #place(): string {
    return this.#path.join('/');
  }

  /** Whether the text of the current element matters. */
  #wanted(): boolean {
    const [, second = '', third = ''] = this.#path;
    if (this.#path.length === 2) return valueElements.includes(second);
    return this.#path.length === 3 && second === 'BlockMap' && third === 'Range';
  }
}

function blocksOf(text: string): { first: number; last: number } {
  const found = /^(\d+)(?:\s*-\s*(\d+))?$/.exec(text);
  if (!found) throw new BmapProblem(`"${brief(text)}" is no range of blocks`);
  const first = wholeNumber(found[1] ?? '', 'a range');
  const last = found[2] === undefined ? first : wholeNumber(found[2], 'a range');
  if (last < first) throw new BmapProblem(`the range ${first}-${last} ends before it begins`);
  return { first, last };
}

/** The number that `text` is. Throws BmapProblem for anything else, and for numbers past 2^53. */
export function wholeNumber(text: string, what: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) {
    throw new BmapProblem(`the number "${brief(text)}" of ${what} is none that bty can work with`);
  }
  return value;
}

/** `text`, cut where it is too long to be shown. */
export function brief(text: string): string {
  return text.length > longestQuote ? `${text.slice(0, longestQuote)}\u2026` : text;
}

/**
 * Digest of the file `bytes` in which the digits `stated` are replaced by as many characters '0', as the format's
 * own comment defines it. Null when the digits do not occur.
 */
export function digestWithoutItself(bytes: Uint8Array, algorithm: string, stated: string): string | null {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(stated, 0, 'latin1');
  if (at < 0) return null;
  const hash = createHash(algorithm);
  hash.update(bytes.subarray(0, at)).update('0'.repeat(stated.length));
  return hash.update(bytes.subarray(at + stated.length)).digest('hex');
}
