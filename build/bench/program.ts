import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { measure } from './pipeline.ts';

const root = join(import.meta.dirname, '..', '..');
const program = join(root, 'dist', 'bin', 'bty');
const madeFrom = ['agent', 'shared', join('build', 'pack'), 'package-lock.json'];

/** The built executable; built first where it is missing or older than what it is made from. */
export async function builtProgram(say: (text: string) => void, signal: AbortSignal): Promise<string> {
  const built = existsSync(program) ? statSync(program).mtimeMs : 0;
  if (madeFrom.some((name) => newest(join(root, name)) > built)) {
    say('building dist/bin/bty ...');
    const script = join(root, 'build', 'pack', 'build.ts');
    await measure([[[process.execPath, ...process.execArgv, script]]], signal);
  }
  return program;
}

/** A copy of `file` in a folder of its own below `parent`: another build must not change what is measured. */
export function copyOf(file: string, parent: string, cleanup: Cleanup): string {
  const folder = mkdtempSync(join(parent, 'bty-bench-program-'));
  cleanup.add(() => rmSync(folder, { recursive: true, force: true }));
  const copy = join(folder, 'bty');
  copyFileSync(file, copy);
  return copy;
}

/** When the newest file at or below `path` was changed. Tests are no part of the program. */
function newest(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
  const parts = names.filter((name) => name.endsWith('.ts') && !/\.test\.ts$/.test(name));
  return Math.max(...parts.map((name) => statSync(join(path, name)).mtimeMs));
}
