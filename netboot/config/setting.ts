/** What one setting of the appliance is, and the kinds of values that settings take. */
import { isIP } from 'node:net';
import { isAbsolute, resolve } from 'node:path';
import type { Checked } from '../../shared/descriptor.ts';
import { authority } from '../http/authority.ts';

/** Settings that the fallback of another one may follow. */
export interface Known {
  readonly stateDir: string;
}

export interface Setting<Value> {
  /** What the help says of it: one sentence. */
  readonly sentence: string;
  /** What its value looks like, as `DIR`; null for a switch, which takes none as a flag. */
  readonly metavar: string | null;
  readonly parse: (text: string) => Checked<Value>;
  readonly fallback: (known: Known) => Value;
  /** How the help names the fallback. */
  readonly otherwise: string;
  /** Never printed. */
  readonly secret?: true;
}

const valid = <Value>(value: Value): Checked<Value> => ({ kind: 'valid', value });
const invalid = (problem: string): Checked<never> => ({ kind: 'invalid', problem });
const shown = (value: unknown) => (value === null || value === '' ? 'none' : String(value));

/** Free text. */
export function text<Fallback extends string | null>(
  fallback: Fallback,
  metavar: string,
  sentence: string,
): Setting<string | Fallback> {
  return {
    sentence,
    metavar,
    // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are refused
    parse: (given) => (/[\x00-\x1f]/.test(given) ? invalid('it holds control characters') : valid(given)),
    fallback: () => fallback,
    otherwise: shown(fallback),
  };
}

/** Text that is never printed. */
export function secret(metavar: string, sentence: string): Setting<string | null> {
  return { ...text(null, metavar, sentence), secret: true };
}

/** A directory or file; a relative one is taken from the directory in which the program was started. */
export function path<Fallback extends string | null>(
  fallback: Fallback | ((known: Known) => Fallback),
  metavar: string,
  sentence: string,
  otherwise?: string,
): Setting<string | Fallback> {
  return {
    sentence,
    metavar,
    parse: (given) => {
      if (given === '' || given.includes('\0')) return invalid('it is not a path');
      return valid(isAbsolute(given) ? given : resolve(given));
    },
    fallback: typeof fallback === 'function' ? fallback : () => fallback,
    otherwise: otherwise ?? (typeof fallback === 'function' ? 'follows --state-dir' : shown(fallback)),
  };
}

/** A whole number from `least` to `most`. */
export function count(
  fallback: number,
  [least, most]: readonly [number, number],
  metavar: string,
  sentence: string,
): Setting<number> {
  return {
    sentence,
    metavar,
    parse: (given) => {
      const value = /^[0-9]{1,16}$/.test(given.trim()) ? Number(given) : Number.NaN;
      if (value >= least && value <= most) return valid(value);
      return invalid(`"${given}" is not a whole number from ${least} to ${most}`);
    },
    fallback: () => fallback,
    otherwise: String(fallback),
  };
}

/** A UDP or TCP port; 0 lets the system choose. */
export function port(fallback: number, sentence: string): Setting<number> {
  return count(fallback, [0, 65535], 'PORT', sentence);
}

/** An address to listen on. */
export function address<Fallback extends string | null>(
  fallback: Fallback,
  sentence: string,
): Setting<string | Fallback> {
  return {
    sentence,
    metavar: 'ADDRESS',
    parse: (given) =>
      isIP(given) !== 0 || given === 'localhost' ? valid(given) : invalid(`"${given}" is no IP address`),
    fallback: () => fallback,
    otherwise: shown(fallback),
  };
}

/** Yes or no. As a flag it takes no value, and `--no-…` says no. */
export function flag(fallback: boolean, sentence: string): Setting<boolean> {
  return {
    sentence,
    metavar: null,
    parse: (given) => {
      const lower = given.trim().toLowerCase();
      if (['1', 'true', 'yes', 'on'].includes(lower)) return valid(true);
      if (['0', 'false', 'no', 'off', ''].includes(lower)) return valid(false);
      return invalid(`"${given}" is neither yes nor no`);
    },
    fallback: () => fallback,
    otherwise: fallback ? 'yes' : 'no',
  };
}

/** One of a few words. */
export function choice<const Word extends string>(
  words: readonly Word[],
  fallback: NoInfer<Word>,
  sentence: string,
): Setting<Word> {
  return {
    sentence,
    metavar: words.join('|'),
    parse: (given) => {
      const found = words.find((word) => word === given);
      return found === undefined ? invalid(`"${given}" is none of ${words.join(', ')}`) : valid(found);
    },
    fallback: () => fallback,
    otherwise: fallback,
  };
}

/** Words parted by commas or white space. */
export function words(metavar: string, sentence: string): Setting<readonly string[]> {
  return {
    sentence,
    metavar,
    parse: (given) => valid(given.split(/[\s,]+/).filter((word) => word !== '')),
    fallback: () => [],
    otherwise: 'none',
  };
}

/** The address of a server: scheme, host and perhaps a port, nothing after them. */
export function url(sentence: string): Setting<string | null> {
  return {
    sentence,
    metavar: 'URL',
    parse: (given) => {
      const bare = given.replace(/\/+$/, '');
      const found = /^https?:\/\/([^/?#@\s]+)$/.exec(bare)?.[1];
      if (found !== undefined && authority(found) !== null) return valid(bare);
      return invalid(`"${given}" is no address like http://10.0.0.1:8080`);
    },
    fallback: () => null,
    otherwise: 'none',
  };
}
