/** The command line of `bty-web`. */
import { failure } from '../../shared/failure.ts';
import type { Flags } from './load.ts';
import { flagOf, type SettingName, settingNames, settings } from './settings.ts';

export interface CommandLine {
  readonly flags: Flags;
  /** Words that are no flags: the command and what it takes. */
  readonly words: readonly string[];
  readonly help: boolean;
  readonly version: boolean;
}

const usage = (problem: string) => failure('USAGE', { problem });

/** Reads `args`. An unknown flag or a missing value is the failure USAGE. */
export function parseFlags(args: readonly string[]): CommandLine {
  const names = new Map(settingNames.map((name) => [flagOf(name), name]));
  const values: Partial<Record<SettingName, string>> = {};
  const words: string[] = [];
  let configFile: string | null = null;
  let help = false;
  let version = false;
  const rest = [...args];
  const take = (flag: string, attached: string | undefined): string => {
    const value = attached ?? rest.shift();
    if (value === undefined) throw usage(`${flag} needs a value.`);
    return value;
  };
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (!arg.startsWith('-') || arg === '-') {
      words.push(arg);
      continue;
    }
    const [flag = arg, ...parts] = arg.split('=');
    const attached = parts.length > 0 ? parts.join('=') : undefined;
    const name = names.get(flag);
    const denied = names.get(flag.replace(/^--no-/, '--'));
    if (flag === '--help' || flag === '-h') help = true;
    else if (flag === '--version') version = true;
    else if (flag === '--config') configFile = take(flag, attached);
    else if (name !== undefined)
      values[name] = settings[name].metavar === null ? (attached ?? 'true') : take(flag, attached);
    else if (denied !== undefined && settings[denied].metavar === null && attached === undefined)
      values[denied] = 'false';
    else throw usage(`bty-web knows no option ${flag}.`);
  }
  return { flags: { values, configFile }, words, help, version };
}
