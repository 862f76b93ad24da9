/** Which rights and programs the network side has here, and what is missing: for `bty-web doctor`. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { handedSockets } from './handed.ts';
import { holderOf } from './holder.ts';
import { closeDescriptor, datagramSocket, isSystemError } from './native.ts';
import { type Rights, rights } from './privilege.ts';

export interface Finding {
  readonly name: string;
  /** `missing` stops network boot, `note` does not. */
  readonly state: 'ok' | 'note' | 'missing';
  readonly text: string;
  /** What to do about it, empty when nothing. */
  readonly advice: string;
}

const ok = (name: string, text: string): Finding => ({ name, state: 'ok', text, advice: '' });

/** How low ports can be had: by root, a capability, a lowered limit, or not at all. */
export function judgeRights(held: Rights, port: number): Finding {
  const name = 'low ports';
  if (held.uid === 0)
    return ok(name, 'root may bind every port; bty-web serve gives the rest of its rights up');
  if (held.bindService) return ok(name, 'CAP_NET_BIND_SERVICE is held: every port may be bound, also later');
  if (held.firstOpenPort <= port) {
    return ok(name, `ports from ${held.firstOpenPort} on need no right here (ip_unprivileged_port_start)`);
  }
  return {
    name,
    state: 'missing',
    text: `ports below ${held.firstOpenPort} may not be bound, and DHCP needs ${port}`,
    advice:
      'Start bty-web as root, or by the unit build/systemd/bty-web.service, or hand it sockets by bty-web.socket.',
  };
}

function judgeDevices(held: Rights): Finding {
  const name = 'sockets of one interface';
  if (held.bindsDevices) return ok(name, 'this kernel binds sockets to an interface without a right');
  if (held.uid === 0 || held.netRaw) return ok(name, 'CAP_NET_RAW is held, which this kernel asks for');
  return {
    name,
    state: 'missing',
    text: 'this kernel (before 5.7) asks for CAP_NET_RAW to bind a socket to an interface',
    advice: 'Give bty-web CAP_NET_RAW as well.',
  };
}

async function judgePort(port: number, what: string): Promise<Finding> {
  const name = `${what} port ${port}`;
  try {
    const wanted = { device: null, address: new Uint8Array(4), port, shared: false, receiveBuffer: 65536 };
    closeDescriptor(datagramSocket(wanted));
    return ok(name, 'free');
  } catch (error) {
    if (isSystemError(error, 'EACCES', 'EPERM')) {
      return { name, state: 'note', text: 'cannot be tried without the right to bind it', advice: '' };
    }
    const holder = await holderOf(port);
    const text = holder === null ? String(error) : `held by ${holder}`;
    return { name, state: 'note', text, advice: 'Harmless when that program serves another interface.' };
  }
}

function judgeHanded(): Finding | null {
  const names = [...handedSockets(process.env, process.pid).keys()];
  return names.length === 0 ? null : ok('sockets of systemd', names.join(', '));
}

function judgeLoader(): Finding {
  const name = 'neighbour table';
  try {
    accessSync('/proc/net/arp', constants.R_OK);
    return ok(name, 'readable: addresses in use are noticed before they are offered');
  } catch {
    const text = '/proc/net/arp cannot be read: addresses in use are not noticed';
    return { name, state: 'note', text, advice: 'Mount /proc for the service.' };
  }
}

/** Machines of one network that are served at once without trouble need as many entries, and some to spare. */
const enoughNeighbours = 4096;

/**
 * arp(7) gc_thresh3: so many neighbours of all networks together the kernel keeps, and then packets to others are lost.
 * Null where it cannot be read, as in a namespace.
 */
export function judgeNeighbours(most: number | null): Finding | null {
  const name = 'neighbours';
  if (most === null) return null;
  if (most >= enoughNeighbours) return ok(name, `the kernel keeps up to ${most} at once`);
  return {
    name,
    state: 'note',
    text: `the kernel keeps at most ${most} at once: with more machines switched on together, packets are lost`,
    advice: `For more machines: sysctl -w net.ipv4.neigh.default.gc_thresh3=${4 * enoughNeighbours} net.ipv4.neigh.default.gc_thresh2=${2 * enoughNeighbours}`,
  };
}

function mostNeighbours(): number | null {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/neigh/default/gc_thresh3', 'utf8'));
  } catch {
    return null;
  }
}

/** Findings about rights and ports, in the order in which a person would mend them. */
export async function examineNetwork(): Promise<readonly Finding[]> {
  const held = rights();
  const handed = judgeHanded();
  const neighbours = judgeNeighbours(mostNeighbours());
  return [
    judgeRights(held, 67),
    judgeDevices(held),
    ...(handed ? [handed] : []),
    await judgePort(67, 'DHCP'),
    await judgePort(4011, 'boot server'),
    await judgePort(69, 'TFTP'),
    judgeLoader(),
    ...(neighbours ? [neighbours] : []),
  ];
}
