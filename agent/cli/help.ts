import {
  type CommandPath,
  type CommandSpec,
  commandPaths,
  commandSpec,
  environment,
  flagOf,
  groups,
  type OptionSpec,
} from './grammar.ts';
import { secondWords } from './parse.ts';

const lineWidth = 80;
const column = 26;

/** Exit codes and what they mean, for help and documentation. */
export const exitCodes: Readonly<Record<number, string>> = {
  0: 'Done. A flash whose verification was skipped is done too; its result says verified: false.',
  1: 'The operation failed, or the plan is not valid.',
  2: 'Misuse, or an input that is missing or cannot be read.',
  3: 'Root is needed.',
  4: 'A tool that bty calls is missing.',
  5: 'The disk changed or was taken by another program.',
  130: 'Cancelled (Ctrl+C, SIGTERM).',
};

const shownPaths = commandPaths.filter((path) => !commandSpec(path).hidden);

/** Usage lines of a command, of a group, or of bty itself. */
export function usage(words: readonly string[]): string {
  const path = words.join(' ');
  const spec = (commandPaths as readonly string[]).includes(path) ? commandSpec(path as CommandPath) : null;
  if (spec !== null) return fold(`usage: bty ${path}`, ['[-h]', ...optionUsages(spec), ...placeUsages(spec)]);
  const [group] = words;
  if (group !== undefined) return `usage: bty ${group} [-h] {${secondWords(group).join(',')}} ...`;
  const firsts = new Set(shownPaths.map((each) => each.split(' ')[0] ?? ''));
  return `usage: bty [-h] [--version] {${[...firsts, 'help'].join(',')}} ...`;
}

/** Full help of a command, of a group, or of bty itself. */
export function help(words: readonly string[]): string {
  const path = words.join(' ');
  if ((commandPaths as readonly string[]).includes(path)) return commandHelp(path as CommandPath);
  const [group] = words;
  const under = shownPaths.filter((each) => group === undefined || each.startsWith(`${group} `));
  const summary =
    group === undefined ? 'Writes system images onto disks, and proves what it wrote.' : groups[group];
  const sections = [usage(words), summary ?? ''];
  sections.push(
    section(
      'commands',
      under.map((each) => [each, commandSpec(each).summary]),
    ),
  );
  if (group === undefined) {
    sections.push(
      section('options', [
        ['-h, --help', 'Show this help; "bty help COMMAND" shows that of a command.'],
        ['--version', 'Show the version.'],
      ]),
      section('exit codes', Object.entries(exitCodes)),
      section('environment', Object.entries(environment)),
    );
  }
  return sections.join('\n\n');
}

function commandHelp(path: CommandPath): string {
  const spec = commandSpec(path);
  const sections = [usage(path.split(' ')), wrap(spec.summary, 0)];
  for (const paragraph of spec.description ?? []) sections.push(wrap(paragraph, 0));
  const places = Object.values(spec.positionals).map((place) => [place.metavar, place.help] as const);
  if (places.length > 0) sections.push(section('arguments', places));
  sections.push(
    section('options', [
      ['-h, --help', 'Show this help.'],
      ...Object.entries(spec.options).map(
        ([key, option]) => [optionName(key, option), optionHelp(option)] as const,
      ),
    ]),
  );
  if (spec.examples) sections.push(`examples:\n${spec.examples.map((each) => `  ${each}`).join('\n')}`);
  return sections.join('\n\n');
}

/** The option with its value, for example `-o, --output FILE`. */
export function optionName(key: string, option: OptionSpec): string {
  if (option.kind === 'flag') return flagOf(key);
  if (option.kind === 'choice') return `${flagOf(key)} ${option.choices.join('|')}`;
  return `${option.short ? `-${option.short}, ` : ''}${flagOf(key)} ${option.metavar}`;
}

/** The option's help with its default. */
export function optionHelp(option: OptionSpec): string {
  if (option.kind === 'choice') return `${option.help} Default: ${option.default}.`;
  if (option.kind === 'flag' || option.otherwise === undefined) return option.help;
  return `${option.help} Default: ${option.otherwise}.`;
}

function optionUsages(spec: CommandSpec): string[] {
  return Object.entries(spec.options).map(([key, option]) => {
    const name =
      option.kind === 'flag' || option.kind === 'choice' || !option.short ? flagOf(key) : `-${option.short}`;
    if (option.kind === 'flag') return `[${name}]`;
    if (option.kind === 'choice') return `[${name} {${option.choices.join(',')}}]`;
    const text = `${name} ${option.metavar}`;
    if (option.required) return text;
    return option.repeatable ? `[${text}]...` : `[${text}]`;
  });
}

const placeUsages = (spec: CommandSpec): string[] =>
  Object.values(spec.positionals).map((place) => (place.required ? place.metavar : `[${place.metavar}]`));

function section(title: string, rows: readonly (readonly [string, string])[]): string {
  const lines = rows.map(([name, text]) => {
    const lead = `  ${name}`;
    const body = wrap(text, column);
    return lead.length + 2 > column ? `${lead}\n${body}` : lead + body.slice(lead.length);
  });
  return `${title}:\n${lines.join('\n')}`;
}

/** Breaks `text` into lines of at most 80 columns, each `indent` columns in. */
function wrap(text: string, indent: number): string {
  return foldWords(text.split(' '), ' '.repeat(indent), ' '.repeat(indent));
}

function fold(lead: string, words: readonly string[]): string {
  return foldWords(words, `${lead} `, ' '.repeat('usage: bty '.length));
}

function foldWords(words: readonly string[], first: string, later: string): string {
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const word of words) {
    if (!isEmpty && line.length + 1 + word.length > lineWidth) {
      lines.push(line);
      line = later;
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line].join('\n');
}
