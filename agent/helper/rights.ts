/** What a process may do, as the kernel tells of each of its threads: proc_pid_status(5). */
import { readdir, readFile } from 'node:fs/promises';

/** CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, capabilities(7): what a helper asked by root itself keeps. */
export const keptOfRoot: readonly number[] = [1, 2];

/**
 * What the keeper has of root: to open disks (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH), to unmount and to read partition
 * tables again (CAP_SYS_ADMIN), to name the program that keeps a disk busy (CAP_SYS_PTRACE), and to end a worker
 * that nobody listens to (CAP_KILL).
 */
export const keptOfKeeper: readonly number[] = [1, 2, 5, 19, 21];

/** The status of every thread of this process. */
export async function readStatuses(process: number | 'self' = 'self'): Promise<readonly string[]> {
  const folder = `/proc/${process}/task`;
  const threads = await readdir(folder);
  const texts = await Promise.all(
    threads.map((thread) => readFile(`${folder}/${thread}/status`, 'latin1').catch(() => null)),
  );
  return texts.filter((text) => text !== null); // a thread may end meanwhile
}

/** What a thread with these statuses may do beyond what user `uid` may; null when nothing. */
export function judgeRights(statuses: readonly string[], uid: number): string | null {
  if (statuses.length === 0) return 'the system does not tell what its threads may do';
  for (const status of statuses) {
    const problem = judgeThread(status, uid);
    if (problem !== null) return problem;
  }
  return null;
}

function judgeThread(status: string, uid: number): string | null {
  const field = (name: string): readonly string[] =>
    new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]?.trim().split(/\s+/) ?? [];
  const [thread = 'a thread'] = field('Pid');
  const users = field('Uid');
  if (users.length !== 4 || users.some((user) => user !== `${uid}`))
    return `thread ${thread} runs as the users ${users.join(', ')}, not as ${uid}`;
  const groups = field('Gid');
  if (groups.length !== 4 || new Set(groups).size !== 1)
    return `thread ${thread} runs as the groups ${groups.join(', ')}`;
  const may = uid === 0 ? keptOfRoot.reduce((sum, each) => sum | (1n << BigInt(each)), 0n) : 0n;
  for (const name of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
    const [digits] = field(name);
    if (digits === undefined || !/^[0-9a-f]{1,16}$/.test(digits))
      return `the system does not tell ${name} of thread ${thread}`;
    // What bounds capabilities can be lowered only by who has some, and nothing gains any: NoNewPrivs.
    if (name === 'CapBnd' && uid !== 0) continue;
    if ((BigInt(`0x${digits}`) & ~may) !== 0n) return `thread ${thread} has ${name} ${digits}`;
  }
  if (field('NoNewPrivs')[0] !== '1') return `thread ${thread} could gain rights`;
  return null;
}
