import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '..', '..');

/** The one place that says which version this is: package.json. */
export const version = (
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string }
).version;

/**
 * Seconds since 1970 that files in archives are said to be of: SOURCE_DATE_EPOCH, else the commit that is checked out,
 * else the year 2020, so that the same sources give the same archives.
 */
export function sourceDate(environment: Readonly<Record<string, string | undefined>> = process.env): number {
  const told = environment.SOURCE_DATE_EPOCH ?? '';
  if (/^\d{1,11}$/.test(told)) return Number(told);
  try {
    return (
      Number(
        execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, stdio: ['ignore', 'pipe', 2] }),
      ) || otherwise
    );
  } catch {
    return otherwise;
  }
}
const otherwise = Date.UTC(2020, 0, 1) / 1000;
