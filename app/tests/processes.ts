import { readdir, readFile } from 'node:fs/promises';

/** Processes below `parent`, however deep, with their command lines. */
export async function descendantsOf(parent: number): Promise<readonly { pid: number; command: string }[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    // The name stands in brackets and may hold anything; the fields follow the last one (proc_pid_stat(5)).
    const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
    if (fields[1] !== undefined) parents.set(Number(name), Number(fields[1]));
  }
  const isBelow = (pid: number): boolean => {
    for (let at = parents.get(pid); at !== undefined && at > 1; at = parents.get(at))
      if (at === parent) return true;
    return false;
  };
  const below = [...parents.keys()].filter(isBelow);
  return Promise.all(
    below.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return { pid, command: text.replaceAll('\0', ' ').trim() };
    }),
  );
}

/** The helpers that an app runs: the keeper, the worker, and whatever else. */
export async function helpersOf(app: number): Promise<readonly number[]> {
  const all = await descendantsOf(app);
  return all.filter(({ command }) => / helper( |$)/.test(command)).map(({ pid }) => pid);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Milliseconds that anything is waited for: only what is wrong lasts so long, also on a slow and busy machine. */
export const patience = 180_000;

/** Waits until `holds` does, for at most `seconds`. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  seconds = patience / 1000,
): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
