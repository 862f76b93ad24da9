/** Effective settings: flags before environment before bty.toml before fallbacks, each with where it came from. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { failure } from '../../shared/failure.ts';
import type { Setting } from './setting.ts';
import {
  type Config,
  flagOf,
  keyOf,
  type SettingName,
  settingNames,
  settings,
  variableOf,
} from './settings.ts';

export interface Loaded {
  readonly config: Config;
  /** Where each value came from: a flag, a variable, a file, or `default`. */
  readonly origins: Readonly<Record<SettingName, string>>;
  /** The bty.toml that was read, null for none. */
  readonly file: string | null;
}

/** What the command line says: values by setting, and the file to read. */
export interface Flags {
  readonly values: Readonly<Partial<Record<SettingName, string>>>;
  readonly configFile: string | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Variable that names the file; the flag is `--config`. */
export const fileVariable = 'BTY_CONFIG';
/** Most bytes of a bty.toml. */
const fileBytes = 1024 * 1024;

/** Loads all settings. A value that cannot be used is the failure SETTING_INVALID. */
export function loadConfig(flags: Flags, environment: Environment): Loaded {
  const stateDir = flags.values.stateDir ?? environment.BTY_STATE_DIR ?? '/var/lib/bty';
  const named = flags.configFile ?? environment[fileVariable] ?? null;
  const file =
    named === null ? readFirst(['/etc/bty/bty.toml', join(stateDir, 'bty.toml')]) : readFile(named);
  const values: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  const order: readonly SettingName[] = ['stateDir', ...settingNames.filter((name) => name !== 'stateDir')];
  for (const name of order) {
    const found = given(name, flags, environment, file);
    const setting = settings[name] as Setting<unknown>;
    origins[name] = found?.origin ?? 'default';
    if (found === null) {
      values[name] = setting.fallback({ stateDir: String(values.stateDir) });
      continue;
    }
    const parsed = setting.parse(found.text);
    if (parsed.kind === 'invalid')
      throw failure('SETTING_INVALID', { name: keyOf(name), origin: found.origin, problem: parsed.problem });
    values[name] = parsed.value;
  }
  return {
    config: values as unknown as Config,
    origins: origins as Record<SettingName, string>,
    file: file?.path ?? null,
  };
}

interface File {
  readonly path: string;
  readonly table: Readonly<Record<string, unknown>>;
}

function given(
  name: SettingName,
  flags: Flags,
  environment: Environment,
  file: File | null,
): { readonly text: string; readonly origin: string } | null {
  const flag = flags.values[name];
  if (flag !== undefined) return { text: flag, origin: flagOf(name) };
  const variable = environment[variableOf(name)];
  // Compose files and unit files set variables to nothing when they mean "not set".
  if (variable !== undefined && variable !== '') return { text: variable, origin: variableOf(name) };
  const value = file?.table[keyOf(name)];
  if (value === undefined || file === null) return null;
  return { text: Array.isArray(value) ? value.join(',') : String(value), origin: file.path };
}

function readFirst(paths: readonly string[]): File | null {
  for (const path of paths) {
    try {
      return readFile(path);
    } catch (error) {
      const cause = error instanceof Error ? error.cause : null;
      const code = cause instanceof Error && 'code' in cause ? cause.code : null;
      if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
    }
  }
  return null;
}

function readFile(path: string): File {
  const refuse = (problem: string, cause?: unknown) =>
    failure('SETTING_INVALID', { name: 'config', origin: path, problem }, cause);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error), error);
  }
  if (text.length > fileBytes) throw refuse(`it is longer than ${fileBytes} bytes`);
  let table: Record<string, unknown>;
  try {
    table = parseToml(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw refuse(message.split('\n')[0] ?? message);
  }
  const keys = new Set(settingNames.map(keyOf));
  const unknown = Object.keys(table).find((key) => !keys.has(key));
  if (unknown !== undefined) throw refuse(`it sets "${unknown}", which is no setting`);
  const nested = Object.entries(table).find(([, value]) => !isPlain(value));
  if (nested) throw refuse(`"${nested[0]}" is neither text, number, yes/no nor a list of texts`);
  return { path, table };
}

function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((item) => typeof item === 'string');
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value);
}
