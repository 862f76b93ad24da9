import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const folders = ['shared', 'agent', 'netboot', 'app', 'build'];

/** Test files under `root`, relative to it, whose path holds one of `only`, or all. */
export function testFiles(root: string, only: readonly string[]): string[] {
  return folders
    .flatMap((folder) => {
      try {
        const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
        return names.map((name) => join(folder, name));
      } catch {
        return [];
      }
    })
    .filter((name) => name.endsWith('.test.ts'))
    .filter((name) => only.length === 0 || only.some((part) => name.includes(part)))
    .sort();
}
