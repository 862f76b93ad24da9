/** Which machines of a list are meant, and in which order. Pure: the list may be long, so nothing is made per row. */
import type { BootPolicy, Machine } from '../contract/machine.ts';
import type { Phase } from '../machine/life.ts';

export type Column = 'mac' | 'hostname' | 'phase' | 'policy' | 'image' | 'address' | 'seen' | 'flashed';

export interface MachineView {
  /** Words that all must occur somewhere. */
  readonly search: string;
  readonly phases: readonly Phase[];
  readonly policies: readonly BootPolicy[];
  /** `name` or `name=value`. */
  readonly labels: readonly string[];
  readonly image: string | null;
  /** How the last task after a flash ended. */
  readonly task: 'failed' | null;
  readonly sort: Column;
  readonly descending: boolean;
}

export const wholeView: MachineView = {
  search: '',
  phases: [],
  policies: [],
  labels: [],
  image: null,
  task: null,
  sort: 'mac',
  descending: false,
};

export function isWhole(view: MachineView): boolean {
  return (
    view.search.trim() === '' &&
    view.phases.length === 0 &&
    view.policies.length === 0 &&
    view.labels.length === 0 &&
    view.image === null &&
    view.task === null
  );
}

/** Machines of `all` that `view` means, in its order. */
export function chosenBy(all: readonly Machine[], view: MachineView): readonly Machine[] {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  const phases = new Set<string>(view.phases);
  const policies = new Set<string>(view.policies);
  const found = isWhole(view)
    ? [...all]
    : all.filter(
        (machine) =>
          (phases.size === 0 || phases.has(machine.state.phase)) &&
          (policies.size === 0 || policies.has(machine.boot_policy)) &&
          (view.image === null || machine.image_sha256 === view.image) &&
          (view.task === null || machine.last_task_status === view.task) &&
          view.labels.every((label) => hasLabel(machine, label)) &&
          words.every((word) => mentions(machine, word)),
      );
  const sign = view.descending ? -1 : 1;
  const keyOf = keys[view.sort];
  return found.sort((one, other) => {
    const [a, b] = [keyOf(one), keyOf(other)];
    // What is unknown stands last, in either direction.
    if (a === '' || b === '') return a === b ? byMac(one, other) : a === '' ? 1 : -1;
    return a === b ? byMac(one, other) : a < b ? -sign : sign;
  });
}

const byMac = (one: Machine, other: Machine) => (one.mac < other.mac ? -1 : one.mac > other.mac ? 1 : 0);

const keys: Readonly<Record<Column, (machine: Machine) => string>> = {
  mac: ({ mac }) => mac,
  hostname: ({ hostname }) => hostname ?? '',
  phase: ({ state }) => state.phase,
  policy: ({ boot_policy }) => boot_policy,
  image: ({ image_sha256 }) => image_sha256 ?? '',
  address: ({ last_seen_ip }) => paddedAddress(last_seen_ip ?? ''),
  seen: ({ last_seen_at }) => last_seen_at ?? '',
  flashed: ({ last_flashed_at }) => last_flashed_at ?? '',
};

/** `10.0.0.9` before `10.0.0.10`. */
function paddedAddress(address: string): string {
  return address.replaceAll(/\d+/g, (digits) => digits.padStart(3, '0'));
}

function hasLabel({ labels }: Machine, label: string): boolean {
  const [name = '', ...rest] = label.split('=');
  if (!Object.hasOwn(labels, name)) return false;
  return rest.length === 0 || labels[name] === rest.join('=');
}

function mentions(machine: Machine, word: string): boolean {
  const { mac, hostname, last_seen_ip, notes, smbios_serial, labels } = machine;
  if (mac.includes(word) || mac.replaceAll(':', '-').includes(word) || mac.replaceAll(':', '').includes(word))
    return true;
  for (const text of [hostname, last_seen_ip, notes, smbios_serial]) {
    if (text?.toLowerCase().includes(word)) return true;
  }
  return Object.entries(labels).some(([name, value]) => `${name}=${value}`.toLowerCase().includes(word));
}
