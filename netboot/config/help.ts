import type { Loaded } from './load.ts';
import { fileVariable } from './load.ts';
import { flagOf, keyOf, settingNames, settings, variableOf } from './settings.ts';

const commands: readonly (readonly [string, string])[] = [
  ['serve', 'Run the appliance (what is done without a command).'],
  ['config', 'Print the effective settings and where each came from.'],
  ['explain', 'Say what a DHCP client would be answered, and why.'],
  [
    'audit verify [HASH]',
    'Prove that no event was changed or taken away, none up to that HASH of an earlier run.',
  ],
  ['backup FILE', 'Write the state into one file, also while the appliance runs.'],
  ['restore FILE', 'Put such a file in the place of the state; the appliance must not run.'],
  ['live install FOLDER', 'Install a live system that "npm run live" built, for machines to boot.'],
  ['task validate FILE', 'Check a task file: a line for each fault, FILE:LINE:COLUMN: what is wrong.'],
  ['task schema', 'Print the JSON Schema of a task file.'],
  ['task key [make]', 'Print the public half of the key that tasks log in with; make it when there is none.'],
];

/** Text of `bty-web --help`. */
export function help(): string {
  const lines = [
    'usage: bty-web [COMMAND] [OPTIONS]',
    '',
    'The appliance: which machine boots what, which images exist, what happened.',
    '',
    'commands:',
    ...commands.map(([name, sentence]) => `  ${name.padEnd(21)} ${sentence}`),
    '',
    'Options win over the environment, that over bty.toml, that over the defaults. bty.toml is the file that',
    `--config or ${fileVariable} names, else /etc/bty/bty.toml, else bty.toml in the state directory.`,
    '',
    'options (variable, key in bty.toml):',
  ];
  for (const name of settingNames) {
    const { metavar, sentence, otherwise } = settings[name];
    lines.push(
      `  ${flagOf(name)}${metavar === null ? '' : ` ${metavar}`}  (${variableOf(name)}, ${keyOf(name)})`,
      `      ${sentence} Default: ${otherwise}.`,
    );
  }
  lines.push(
    '  --config FILE',
    '      The bty.toml to read.',
    '  --help, --version',
    '      Print this, or the version.',
  );
  return lines.join('\n');
}

/** Text of `bty-web config`; it is a valid bty.toml. Secrets are told as set or not, never printed. */
export function effective({ config, origins, file }: Loaded): string {
  const rows = settingNames.map((name) => {
    const secret = 'secret' in settings[name] && settings[name].secret;
    const value = config[name];
    if (secret) return [`# ${keyOf(name)} is ${value === null ? 'not set' : 'set'}`, origins[name]] as const;
    if (value === null) return [`# ${keyOf(name)} is not set`, origins[name]] as const;
    return [`${keyOf(name)} = ${JSON.stringify(value)}`, origins[name]] as const;
  });
  const width = Math.max(...rows.map(([text]) => text.length));
  const head = `# bty.toml: ${file ?? 'none was read'}`;
  return [head, ...rows.map(([text, origin]) => `${text.padEnd(width)}  # ${origin}`)].join('\n');
}
