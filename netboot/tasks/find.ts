/** Where a machine may be reached after its flash. Pure. */

export interface Clues {
  readonly mac: string;
  /** The label `task-address`: the operator says where. */
  readonly said: string | null;
  /** Addresses that our DHCP leases to it, the newest first. */
  readonly leased: readonly string[];
  /** Addresses that it was seen to use. */
  readonly seen: readonly string[];
  /** What its name resolves to. */
  readonly named: readonly string[];
  /** The address of its live system. */
  readonly last: string | null;
}

export interface Candidate {
  readonly address: string;
  readonly from: 'label' | 'lease' | 'neighbour' | 'name' | 'live system';
}

/** Addresses to try, the likeliest first, each once. */
export function candidatesOf(clues: Clues): readonly Candidate[] {
  if (clues.said !== null) return [{ address: clues.said, from: 'label' }];
  const all: Candidate[] = [
    ...clues.leased.map((address) => ({ address, from: 'lease' }) as const),
    ...clues.seen.map((address) => ({ address, from: 'neighbour' }) as const),
    ...clues.named.map((address) => ({ address, from: 'name' }) as const),
    ...(clues.last === null ? [] : [{ address: clues.last, from: 'live system' } as const]),
  ];
  const first = new Map<string, Candidate>();
  for (const each of all) if (!first.has(each.address)) first.set(each.address, each);
  return [...first.values()].slice(0, 8);
}

/** Milliseconds before the try after `tries` that failed: soon at first, then every 20 seconds. */
export function backOff(tries: number): number {
  return Math.min(20_000, Math.round(1000 * 1.5 ** Math.min(tries, 12)));
}

/** Why the machine that answers is not the one that was flashed, null when it is. */
export function strangerIn(
  answer: {
    /** What the kernel was told, `/proc/cmdline`. */
    readonly commandLine: string;
    /** `/proc/uptime`. */
    readonly uptime: string;
  },
  /** Seconds since the flash was done; null where nothing was flashed, or nobody asks. */
  sinceFlash: number | null,
): string | null {
  if (/(^|\s)bty\.(server|mode|mac)=/.test(answer.commandLine)) return 'the live system answers';
  const seconds = Number(answer.uptime.trim().split(/\s+/)[0]);
  // A clock that is set while the machine boots moves it a little.
  if (sinceFlash !== null && Number.isFinite(seconds) && seconds > sinceFlash + 120)
    return `the system that answers has been up for ${Math.round(seconds)} s, longer than since the flash`;
  return null;
}

/** User of a machine: its label `task-user`, the first rule LABEL=VALUE:NAME that fits, else `fallback`. */
export function userOf(
  labels: Readonly<Record<string, string>>,
  rules: readonly string[],
  fallback: string,
): string {
  const own = labels['task-user'];
  if (own !== undefined && isUser(own)) return own;
  for (const rule of rules) {
    const [, name = '', value = '', user = ''] = /^([^=]+)=(.*):([^:]+)$/.exec(rule) ?? [];
    if (name !== '' && labels[name] === value && isUser(user)) return user;
  }
  return fallback;
}

/** A name of a user as useradd makes them. */
export function isUser(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/.test(name);
}
