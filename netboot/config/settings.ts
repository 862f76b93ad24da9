/** The one table of settings: flags, environment, bty.toml, help and `bty-web config` all come from it. */
import { coreSettings } from './core.ts';
import { imageSettings } from './images.ts';
import { networkSettings } from './network.ts';
import type { Setting } from './setting.ts';
import { taskSettings } from './tasks.ts';

export const settings = { ...coreSettings, ...imageSettings, ...networkSettings, ...taskSettings } as const;

export type SettingName = keyof typeof settings;
type ValueOf<Kind> = Kind extends Setting<infer Value> ? Value : never;
/** The effective values. */
export type Config = { readonly [Name in SettingName]: ValueOf<(typeof settings)[Name]> };

export const settingNames = Object.keys(settings) as readonly SettingName[];

/** `stateDir` in bty.toml: `state_dir`. */
export function keyOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
/** `stateDir` in the environment: `BTY_STATE_DIR`. */
export function variableOf(name: string): string {
  return `BTY_${keyOf(name).toUpperCase()}`;
}
/** `stateDir` on the command line: `--state-dir`. */
export function flagOf(name: string): string {
  return `--${keyOf(name).replaceAll('_', '-')}`;
}
