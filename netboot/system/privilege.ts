/**
 * The right to bind low ports, kept while everything else is given up: started as root, the process becomes an
 * ordinary user and keeps CAP_NET_BIND_SERVICE, so that interfaces can be chosen while it runs. A broker that stays
 * root and hands sockets over would be a second program to audit, with more rights than this one bit.
 */
import { chownSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import {
  dropFromBounding,
  isSystemError,
  keepCapabilities,
  refuseNewPrivileges,
  setCapabilities,
} from './native.ts';

/** Numbers of capabilities(7). */
export const Capability = { bindService: 10, netRaw: 13 } as const;
const lastCapability = 63;

export interface Rights {
  readonly uid: number;
  readonly bindService: boolean;
  readonly netRaw: boolean;
  /** Lowest port that needs no right (ip(7) ip_unprivileged_port_start). */
  readonly firstOpenPort: number;
  /** Whether SO_BINDTODEVICE needs no right: since Linux 5.7. */
  readonly bindsDevices: boolean;
}

function effective(status: string): bigint {
  return BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
}

/** Since Linux 5.7 any process may bind a fresh socket to an interface. */
export function bindsDevicesFreely(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  return major > 5 || (major === 5 && minor >= 7);
}

/** What this process may do now. */
export function rights(): Rights {
  // The main thread's own status; /proc/self/status is the same thread's.
  const mask = effective(readFileSync('/proc/self/status', 'utf8'));
  const has = (capability: number) => ((mask >> BigInt(capability)) & 1n) === 1n;
  let firstOpenPort = 1024;
  try {
    firstOpenPort = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    // kernels before 4.11 have no such setting
  }
  return {
    uid: process.getuid?.() ?? -1,
    bindService: has(Capability.bindService),
    netRaw: has(Capability.netRaw),
    firstOpenPort,
    bindsDevices: bindsDevicesFreely(release()),
  };
}

/** Entry of /etc/passwd for a user name, or null. */
export function userOf(
  name: string,
  passwd = readFileSync('/etc/passwd', 'utf8'),
): { readonly uid: number; readonly gid: number } | null {
  for (const line of passwd.split('\n')) {
    const [found, , uid = '', gid = ''] = line.split(':');
    if (found === name && /^\d+$/.test(uid) && /^\d+$/.test(gid))
      return { uid: Number(uid), gid: Number(gid) };
  }
  return null;
}

export interface Dropped {
  readonly uid: number;
  readonly gid: number;
  readonly kept: readonly ('CAP_NET_BIND_SERVICE' | 'CAP_NET_RAW')[];
}

/**
 * Turns a process of root into one of `user` that may bind low ports and nothing else that root may. Must run before
 * threads start: capabilities belong to threads, and those that exist lose all of theirs. `owned` are given to the
 * user first.
 */
export function becomeOrdinary(
  user: { readonly uid: number; readonly gid: number },
  owned: readonly string[] = [],
): Dropped {
  const { setgroups, setgid, setuid } = process;
  if (!setgroups || !setgid || !setuid) throw new Error('this system has no users');
  if (user.uid === 0) throw new Error('the user is root');
  const free = bindsDevicesFreely(release());
  const kept: number[] = free ? [Capability.bindService] : [Capability.bindService, Capability.netRaw];
  for (const path of owned) chownSync(path, user.uid, user.gid);
  for (let capability = 0; capability <= lastCapability; capability++) {
    if (kept.includes(capability)) continue;
    try {
      dropFromBounding(capability);
    } catch (error) {
      // EINVAL: the kernel knows no capability of this number.
      if (!isSystemError(error, 'EINVAL')) throw error;
    }
  }
  keepCapabilities(true);
  setgroups.call(process, [user.gid]);
  setgid.call(process, user.gid);
  setuid.call(process, user.uid);
  setCapabilities(kept);
  keepCapabilities(false);
  refuseNewPrivileges();
  return {
    ...user,
    kept: free ? ['CAP_NET_BIND_SERVICE'] : ['CAP_NET_BIND_SERVICE', 'CAP_NET_RAW'],
  };
}
