/** Machines in memory: the shortest store of machines that there is. The other ones are compared with it. */
import { deadline, type LoopLimit } from '../../shared/machine/life.ts';
import { type MachineRecord, wireMachine } from '../machines/record.ts';
import type { MachineFilter, MachineStore } from '../machines/store.ts';

/** What it keeps is no part of any transaction. */
export function memoryMachines(limit: LoopLimit, clock: () => number): MachineStore {
  const records = new Map<string, MachineRecord>();
  const inventories = new Map<string, { readonly takenAt: number; readonly document: string }>();
  const found = (filter: MachineFilter, after: string | null = null) =>
    [...records.values()]
      .filter((record) => (after === null || record.mac > after) && fits(record, filter))
      .sort((one, other) => (one.mac < other.mac ? -1 : 1));
  const wireOf = (record: MachineRecord) => JSON.stringify(wireMachine(record, clock(), limit));
  const list: MachineStore['list'] = (filter, after, most) =>
    found(filter, after).slice(0, most ?? undefined);
  return {
    get: (mac) => records.get(mac) ?? null,
    put: (record) => void records.set(record.mac, record),
    delete: (mac) => {
      inventories.delete(mac);
      return records.delete(mac);
    },
    wireOf,
    list,
    listWire: (filter, after, most) => [...list(filter, after, most)].map(wireOf),
    listText: (filter, after) => {
      const all = found(filter, after);
      return all.length === 0 ? [] : [Buffer.from(all.map(wireOf).join(','))];
    },
    count: (filter) => found(filter).length,
    countByPhase: () =>
      new Map(
        [...Map.groupBy(found({}), ({ life }) => life.phase)].map(([phase, those]) => [phase, those.length]),
      ),
    due: (at) =>
      found({})
        .filter(({ life }) => {
          const due = deadline(life);
          return due !== null && (due <= at || due > at + 3_600_000);
        })
        .map(({ mac }) => mac),
    moveTime: (by) => {
      for (const record of records.values()) {
        const { life } = record;
        if (deadline(life) === null && life.boots.length === 0) continue;
        const boots = life.boots.map((at) => at + by);
        const moved = { ...life, since: life.since + by, heard: life.heard + by, boots };
        records.set(record.mac, { ...record, life: moved });
      }
    },
    withSerial: (serial) =>
      found({})
        .filter(({ smbiosSerial }) => smbiosSerial === serial)
        .slice(0, 10),
    putInventory: (mac, document, takenAt) => {
      if (!records.has(mac)) throw new Error(`${mac} is no machine`);
      inventories.set(mac, { takenAt, document });
    },
    inventory: (mac) => inventories.get(mac) ?? null,
  };
}

function fits(record: MachineRecord, filter: MachineFilter): boolean {
  const { boot_policy, phase, task_status, image_sha256, q, label, labels = {} } = filter;
  if (boot_policy !== undefined && record.bootPolicy !== boot_policy) return false;
  if (phase && record.life.phase !== phase) return false;
  if (task_status && record.lastTaskStatus !== task_status) return false;
  if (image_sha256 && record.imageSha256 !== image_sha256) return false;
  if (q) {
    const { mac, hostname, notes, lastSeenIp, smbiosSerial } = record;
    const texts = [mac, hostname, JSON.stringify(record.labels), notes, lastSeenIp, smbiosSerial];
    if (!texts.some((text) => text !== null && lower(text).includes(lower(q)))) return false;
  }
  const cut = label?.indexOf('=') ?? -1;
  if (label && cut === -1 && !Object.hasOwn(record.labels, label)) return false;
  if (label && cut !== -1 && record.labels[label.slice(0, cut)] !== label.slice(cut + 1)) return false;
  return Object.entries(labels).every(([name, value]) => record.labels[name] === value);
}

/** ASCII letters only, as SQLite compares. */
const lower = (text: string) => text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
