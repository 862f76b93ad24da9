import {
  type CommandPath,
  type CommandSpec,
  commandPaths,
  commandSpec,
  flagOf,
  groups,
  type OptionSpec,
  type Values,
} from './grammar.ts';
import { nearest } from './nearest.ts';
import { visible } from './visible.ts';

/** A command with its values, to be run. */
export type Invocation = {
  [Path in CommandPath]: { readonly kind: 'run'; readonly path: Path; readonly values: Values<Path> };
}[CommandPath];

/** What a command line asks for; `words` name the command or group it is about, none for bty itself. */
export type Parsed =
  | Invocation
  | { readonly kind: 'version' }
  | { readonly kind: 'help'; readonly words: readonly string[] }
  | { readonly kind: 'misuse'; readonly words: readonly string[]; readonly problem: string };

class Misuse extends Error {}

/** Parses the words after `bty`. Never throws: misuse is a result. */
export function parse(args: readonly string[]): Parsed {
  const [first, second] = args;
  if (first === '--version' || first === '-V') return { kind: 'version' };
  if (first === '--help' || first === '-h') return { kind: 'help', words: [] };
  if (first === 'help') return parseHelp(args.slice(1));
  if (first === undefined) return misuse([], 'Name a command; these are all of them.');
  if (first.startsWith('-')) return misuse([], unknown('option', first, ['--help', '--version']));

  if (isCommand(first)) return parseCommand(first, args.slice(1));
  if (!Object.hasOwn(groups, first)) return misuse([], unknown('command', first, firstWords()));
  const seconds = secondWords(first);
  if (second === '--help' || second === '-h') return { kind: 'help', words: [first] };
  if (second === undefined || second.startsWith('-')) {
    return misuse([first], `Name what to do: bty ${first} ${seconds.join(' or ')}.`);
  }
  const path = `${first} ${second}`;
  if (isCommand(path)) return parseCommand(path, args.slice(2));
  const close = nearest(second, seconds);
  const whole = (words: readonly string[]) => words.map((word) => `"bty ${first} ${word}"`).join(' and ');
  const instead = close === null ? `there is ${whole(seconds)}.` : `did you mean ${whole([close])}?`;
  return misuse([first], `There is no command ${whole([visible(second)])}; ${instead}`);
}

/** The second words that may follow `group`. */
export function secondWords(group: string): readonly string[] {
  return commandPaths.flatMap((path) => (path.startsWith(`${group} `) ? [path.slice(group.length + 1)] : []));
}

const isCommand = (path: string): path is CommandPath => (commandPaths as readonly string[]).includes(path);
const firstWords = (): string[] => {
  const shown = commandPaths.filter((path) => !commandSpec(path).hidden);
  return [...new Set(shown.map((path) => path.split(' ')[0] ?? '')), 'help'];
};
const misuse = (words: readonly string[], problem: string): Parsed => ({ kind: 'misuse', words, problem });

function unknown(what: string, word: string, known: readonly string[]): string {
  const close = nearest(word, known);
  const sentence = `There is no ${what} "${visible(word)}"`;
  return close === null ? `${sentence}.` : `${sentence}; did you mean "${close}"?`;
}

function parseHelp(words: readonly string[]): Parsed {
  const known = words.length === 0 || isCommand(words.join(' '));
  if (known || (words.length === 1 && Object.hasOwn(groups, words[0] ?? ''))) return { kind: 'help', words };
  return misuse([], unknown('command', words.join(' '), [...commandPaths, ...Object.keys(groups)]));
}

function parseCommand(path: CommandPath, args: readonly string[]): Parsed {
  const words = path.split(' ');
  const spec = commandSpec(path);
  try {
    const given = readWords(spec, args);
    if (given === 'help') return { kind: 'help', words };
    checkRules(spec, given);
    return { kind: 'run', path, values: complete(spec, given) } as unknown as Invocation;
  } catch (error) {
    if (error instanceof Misuse) return misuse(words, error.message);
    throw error;
  }
}

type Given = Map<string, string[]>;

/** Sorts the words of one command into its options and positionals. */
function readWords(spec: CommandSpec, args: readonly string[]): Given | 'help' {
  const given: Given = new Map();
  const positionals: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? '';
    if (word === '--') {
      positionals.push(...args.slice(index + 1));
      break;
    }
    if (word === '--help' || word === '-h') return 'help';
    if (word === '-' || !word.startsWith('-')) {
      positionals.push(word);
      continue;
    }
    const { key, option, flag, inline } = findOption(spec, word);
    if (option.kind === 'flag') {
      if (inline !== null) throw new Misuse(`${flag} takes no value.`);
      given.set(key, ['']);
      continue;
    }
    const value = inline ?? args[index + 1];
    if (value === undefined || (inline === null && value.startsWith('-') && value !== '-')) {
      throw new Misuse(`${flag} needs a value; write ${flag}=VALUE if it starts with a dash.`);
    }
    if (inline === null) index++;
    addValue(given, key, option, flag, value);
  }
  placePositionals(spec, given, positionals);
  return given;
}

interface Found {
  readonly key: string;
  readonly option: OptionSpec;
  readonly flag: string;
  readonly inline: string | null;
}

function findOption(spec: CommandSpec, word: string): Found {
  const isLong = word.startsWith('--');
  const equals = isLong ? word.indexOf('=') : -1;
  const name = equals < 0 ? word : word.slice(0, equals);
  const inline = equals < 0 ? null : word.slice(equals + 1);
  for (const [key, option] of Object.entries(spec.options)) {
    const short = 'short' in option && option.short !== undefined ? `-${option.short}` : null;
    if (isLong && flagOf(key) === name) return { key, option, flag: name, inline };
    if (!isLong && short !== null && word.startsWith(short)) {
      return { key, option, flag: short, inline: word.length > 2 ? word.slice(2) : null };
    }
  }
  throw new Misuse(unknown('option', name, [...Object.keys(spec.options).map(flagOf), '--help']));
}

function addValue(given: Given, key: string, option: OptionSpec, flag: string, value: string): void {
  if (value === '') throw new Misuse(`${flag} needs a value, and an empty one was given.`);
  if (option.kind === 'choice' && !option.choices.includes(value)) {
    throw new Misuse(`${flag} takes ${option.choices.join(', ')}, not "${visible(value)}".`);
  }
  if (option.kind === 'sha256' && !/^[0-9a-f]{64}$/i.test(value)) {
    throw new Misuse(`${flag} takes 64 hexadecimal digits, not "${visible(value)}".`);
  }
  if (option.kind === 'bytes' && !(/^[0-9]+$/.test(value) && Number.isSafeInteger(Number(value)))) {
    throw new Misuse(`${flag} takes a number of bytes, not "${visible(value)}".`);
  }
  const before = given.get(key);
  if (before === undefined) given.set(key, [value]);
  else if ('repeatable' in option && option.repeatable) before.push(value);
  else throw new Misuse(`${flag} was given twice.`);
}

function placePositionals(spec: CommandSpec, given: Given, words: readonly string[]): void {
  const places = Object.entries(spec.positionals);
  const extra = words[places.length];
  if (extra !== undefined) throw new Misuse(`"${visible(extra)}" is one word too many.`);
  for (const [index, [key, place]] of places.entries()) {
    const word = words[index];
    if (word === '') throw new Misuse(`${place.metavar} must not be empty.`);
    if (word !== undefined) given.set(key, [word]);
    else if (place.required) throw new Misuse(`${place.metavar} is missing.`);
  }
}

function checkRules(spec: CommandSpec, given: Given): void {
  for (const [key, option] of Object.entries(spec.options)) {
    if ('required' in option && option.required && !given.has(key)) {
      throw new Misuse(`${flagOf(key)} ${option.metavar} is missing.`);
    }
  }
  for (const { options, hint } of spec.anyOf ?? []) {
    if (!options.some((key) => given.has(key))) throw new Misuse(hint);
  }
  for (const [one, other] of spec.conflicts ?? []) {
    if (given.has(one) && given.has(other)) {
      throw new Misuse(`${flagOf(one)} and ${flagOf(other)} exclude one another.`);
    }
  }
}

function complete(spec: CommandSpec, given: Given): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const key of Object.keys(spec.positionals)) values[key] = given.get(key)?.[0];
  for (const [key, option] of Object.entries(spec.options)) {
    const all = given.get(key);
    const text = all?.[0];
    if (option.kind === 'flag') values[key] = all !== undefined;
    else if (option.kind === 'choice') values[key] = text ?? option.default;
    else if (option.repeatable) values[key] = all ?? [];
    else if (option.kind === 'bytes') values[key] = text === undefined ? undefined : Number(text);
    else values[key] = option.kind === 'sha256' ? text?.toLowerCase() : text;
  }
  return values;
}
