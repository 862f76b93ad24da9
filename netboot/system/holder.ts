/** Which process holds a UDP port, from /proc (proc(5)). */
import { readdir, readFile, readlink } from 'node:fs/promises';

interface Held {
  readonly inode: string;
  readonly uid: number;
}

/** Rows of /proc/net/udp that listen on `port`, also those of all addresses. Addresses are little-endian there. */
export function rowsOf(table: string, port: number): Held[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(`:${wanted}`))
    .map((columns) => ({ inode: columns[9] ?? '', uid: Number(columns[7] ?? -1) }));
}

async function descriptorsOf(pid: string): Promise<string[]> {
  try {
    const names = await readdir(`/proc/${pid}/fd`);
    return await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
  } catch {
    // another user's process, or one that ended just now
    return [];
  }
}

/** "dnsmasq (process 812)" for everyone but ourselves who holds UDP `port` in this network, or null. */
export async function holderOf(port: number): Promise<string | null> {
  const tables = await Promise.all(
    ['/proc/net/udp', '/proc/net/udp6'].map((path) => readFile(path, 'utf8').catch(() => '')),
  );
  const held = tables.flatMap((table) => rowsOf(table, port));
  if (held.length === 0) return null;
  const links = new Set(held.map(({ inode }) => `socket:[${inode}]`));
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const names: string[] = [];
  for (const pid of pids) {
    if (Number(pid) === process.pid) continue;
    const descriptors = await descriptorsOf(pid);
    if (!descriptors.some((link) => links.has(link))) continue;
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
    names.push(`${name.replace(/[^\x20-\x7e]/g, '?') || 'a program'} (process ${pid})`);
  }
  if (names.length > 0) return names.join(', ');
  const users = [...new Set(held.map(({ uid }) => uid))].join(', ');
  return `a program of user ${users} (its name is shown to root only)`;
}
