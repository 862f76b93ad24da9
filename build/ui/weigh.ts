import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Most bytes that the first page may need, compressed as they are sent. */
export const firstLoadBudget = 350_000;

export interface Weight {
  /** Bytes under gzip that the first page needs: index.html, what it names, and what that imports statically. */
  readonly first: number;
  /** Bytes under gzip of everything. */
  readonly all: number;
}

/** Weighs the pages that were built into `folder`. */
export async function weigh(folder: string): Promise<Weight> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.gz'));
  const sizes = new Map<string, number>();
  for (const name of names) sizes.set(name.slice(0, -3), (await stat(join(folder, name))).size);
  const needed = new Set(['index.html']);
  const follow = async (name: string): Promise<void> => {
    if (needed.has(name) || !sizes.has(name)) return;
    needed.add(name);
    if (!name.endsWith('.js')) return;
    const text = await readFile(join(folder, name), 'utf8');
    for (const [, next] of text.matchAll(/(?:^|[;}\n])\s*(?:import|export)\b[^;"'()]*["']\.\/([^"']+)["']/g))
      await follow(`assets/${next}`);
  };
  const index = await readFile(join(folder, 'index.html'), 'utf8');
  for (const [, name = ''] of index.matchAll(/(?:src|href)="\/static\/([^"]+)"/g)) await follow(name);
  const sum = (wanted: Iterable<string>) =>
    [...wanted].reduce((total, name) => total + (sizes.get(name) ?? 0), 0);
  return { first: sum(needed), all: sum(sizes.keys()) };
}
