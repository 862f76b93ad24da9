import { exitCodeOf, Failure, type FailureCode, failureCodes } from '../../shared/failure.ts';
import { type CommandPath, commandPaths, commandSpec, environment } from './grammar.ts';
import { exitCodes, optionHelp, optionName, usage } from './help.ts';
import { progressEvents, results } from './results.ts';

/** Text of docs/cli.md, made from the grammar and the failure table. */
export function cliDocument(): string {
  return `${[
    '# The `bty` command line',
    '<!-- Made by `node build/document.ts` from agent/cli/grammar.ts and shared/failure.ts: edit those. -->',
    introduction,
    '## Commands',
    commandPaths
      .map((path) => `- [\`bty ${path}\`](#bty-${path.replaceAll(' ', '-')}): ${commandSpec(path).summary}`)
      .join('\n'),
    ...commandPaths.map(commandSection),
    '## Progress events',
    events,
    rows(['Event', 'Meaning'], named(progressEvents)),
    '## Exit codes',
    rows(['Code', 'Meaning'], Object.entries(exitCodes)),
    '## Environment',
    rows(['Variable', 'Meaning'], named(environment)),
    '## Image descriptors (`.bri`)',
    descriptors,
    '## Catalogs',
    catalogs,
    '## Failures',
    'Every failure has a code, which JSON output carries, a sentence and advice. `<words>` stand for what the failure is about.',
    rows(['Code', 'Exit', 'Sentence', 'Advice'], failureCodes.map(failureRow)),
  ].join('\n\n')}\n`;
}

const introduction = `Results go to standard output; problems and progress go to standard error, each problem as \`bty: \` and a
sentence, with advice on a second line. \`bty\` never asks a question. An option's value follows it as the next word or
behind an equals sign (\`--image=FILE\`); \`--\` ends the options. Control characters in names, serial numbers and other
text that is not bty's own are shown as escapes.

With \`--json\` a command prints one JSON object whose first keys are \`schema_version\` (\`"1"\`, a string) and
\`command\`. Keys are added over time and never change their meaning.`;

const events = `\`bty flash --progress ndjson\` prints one JSON object a line on standard output, and nothing else. \`event\` names what
happened; \`target\`, \`note\`, \`total_bytes\` and \`bytes_written\` are there where they mean something.`;

const descriptors = `A \`.bri\` file is TOML of at most 64 KiB that stands for an image elsewhere. \`url\` (http or https) is required.
Optional: \`name\` (default: the last part of the URL's path, else its host), \`format\` (default: from the name),
\`size_bytes\`, \`sha256\` (64 hexadecimal digits, checked while the image is read) and \`description\`.

\`\`\`toml
url = "https://images.example.org/debian-13.img.zst"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
\`\`\``;

const catalogs = `A catalog is TOML: \`version = 1\`, then one \`[[images]]\` table for each image with \`name\` (unique), \`src\` and
\`sha256\`, and optionally \`format\`, \`size_bytes\` and \`description\`. Unknown keys are ignored. Fetched images lie in the
cache directory, each under its SHA-256.

\`\`\`toml
version = 1

[[images]]
name = "debian-13"
src = "https://images.example.org/debian-13.img.zst"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
\`\`\``;

function commandSection(path: CommandPath): string {
  const spec = commandSpec(path);
  const parts = [`### \`bty ${path}\``, spec.summary, ...(spec.description ?? [])];
  parts.push(`\`\`\`\n${usage(path.split(' '))}\n\`\`\``);
  const places = Object.values(spec.positionals).map((place) => [code(place.metavar), place.help]);
  const options = Object.entries(spec.options).map(([key, option]) => [
    code(optionName(key, option)),
    optionHelp(option),
  ]);
  parts.push(rows(['Argument', 'Meaning'], [...places, ...options, [code('-h, --help'), 'Show this help.']]));
  const result = results[path];
  if (result)
    parts.push(`As JSON (\`"command": "${result.command}"\`):`, rows(['Key', 'Value'], named(result.keys)));
  if (spec.examples) parts.push(`\`\`\`sh\n${spec.examples.join('\n')}\n\`\`\``);
  return parts.join('\n\n');
}

function failureRow(name: FailureCode): readonly string[] {
  const { message, advice } = new Failure(name, anyDetails);
  return [code(name), String(exitCodeOf(name)), message, advice];
}

/** Details in which every name is there and reads as itself in angle brackets. */
const anyDetails = new Proxy({}, { get: (_, name) => placeholder(`<${String(name)}>`) });

/** A value that answers every call and property with itself and reads as `text`. */
function placeholder(text: string): unknown {
  const self: unknown = new Proxy(() => self, {
    get: (_, name) => {
      if (name === Symbol.toPrimitive) return () => text;
      return name === Symbol.iterator ? [text][Symbol.iterator].bind([text]) : self;
    },
  });
  return self;
}

const named = (texts: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries(texts).map(([name, text]) => [code(name), text]);

const code = (text: string): string => `\`${text}\``;

function rows(headers: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.map(cellOf).join(' | ')} |`;
  return [row(headers), row(headers.map(() => '---')), ...lines.map(row)].join('\n');
}

/** Markdown ends a cell at a bar, even within code, and takes angle brackets for markup. */
function cellOf(text: string): string {
  const escaped = text.replaceAll('|', '\\|');
  return text.startsWith('`') ? escaped : escaped.replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
