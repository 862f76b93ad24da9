/** Pages of the reference that are made from the program itself, as Markdown. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { flagOf, keyOf, settingNames, settings, variableOf } from '../../netboot/config/settings.ts';
import { exitCodeOf, Failure, failureCodes } from '../../shared/failure.ts';

const cell = (text: string): string =>
  text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('<', '&lt;');
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

/** All settings of the appliance, in their three forms. */
export function configurationPage(): string {
  const rows = settingNames.map((name) => {
    const { metavar, sentence, otherwise } = settings[name];
    const flag = `${flagOf(name)}${metavar === null ? '' : ` ${metavar}`}`;
    return [`\`${flag}\``, `\`${variableOf(name)}\``, `\`${keyOf(name)}\``, cell(sentence), cell(otherwise)];
  });
  return `# Configuration of the appliance

An option wins over the environment, that over \`bty.toml\`, that over the default. \`bty.toml\` is the file that \`--config\` or
\`BTY_CONFIG\` names, else \`/etc/bty/bty.toml\`, else \`bty.toml\` in the state directory. \`bty-web config\` prints what is in
force and where each value came from.

${table(['Option', 'Variable', 'Key', 'Meaning', 'Default'], rows)}
`;
}

/** All failures: what is said, and what is advised. */
export function failuresPage(): string {
  const words = new Proxy({}, { get: (_, name) => (typeof name === 'string' ? `<${name}>` : undefined) });
  const rows = failureCodes.map((code) => {
    const told = told0(code, words);
    return [`\`${code}\``, `${exitCodeOf(code)}`, cell(told.message), cell(told.advice)];
  });
  return `# Failures

Each has a code, which JSON carries everywhere (command line, HTTP, events, the app), a sentence that states both sides,
and advice. Words in angle brackets stand for what the failure is about.

${table(['Code', 'Exit', 'Sentence', 'Advice'], rows)}
`;
}

function told0(code: (typeof failureCodes)[number], details: object): { message: string; advice: string } {
  try {
    const { message, advice } = new Failure(code, details as never);
    return { message, advice };
  } catch {
    return { message: 'Depends on what happened.', advice: '' };
  }
}

/** Kinds of events, found where they are written. */
export function eventKinds(root: string): readonly string[] {
  const kinds = new Set<string>();
  const folder = join(root, 'netboot');
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || /\.test\.ts$|(^|\/)(tests|testing)\//.test(name)) continue;
    const text = readFileSync(join(folder, name), 'utf8');
    for (const [, kind = ''] of text.matchAll(
      /'((?:auth|boot|catalog|dhcp|image|job|machine|netboot|pxe|settings|state|story|system|task|token)(?:\.[a-z][a-z_-]*){1,3})'/g,
    ))
      kinds.add(kind);
  }
  return [...kinds].sort();
}

/** Kinds of events by what they are about. */
export function eventsPage(root: string): string {
  const groups = Map.groupBy(eventKinds(root), (kind) => kind.split('.')[0] ?? '');
  const parts = [...groups].map(
    ([name, kinds]) => `## ${name}\n\n${kinds.map((kind) => `- \`${kind}\``).join('\n')}`,
  );
  return `# Events

What the appliance records, in a chain of hashes (\`bty-web audit verify\`). Read them by \`GET /events\`, follow them by the
streams in the [HTTP reference](../http-api.md). A kind that ends in \`failed\` is a failure. Each has a time, a subject, who did it,
an address, one sentence and details.

${parts.join('\n\n')}
`;
}
