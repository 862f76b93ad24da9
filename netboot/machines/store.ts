/** Where machines are kept. */
import type { DiskRule } from '../../shared/contract/agent.ts';
import { type BootPolicy, bootPolicies, type MachineQuery } from '../../shared/contract/machine.ts';
import { deadline, type Life, type LoopLimit, newLife, phases } from '../../shared/machine/life.ts';
import type { Database } from '../store/database.ts';
import { objectIn } from '../store/json.ts';
import { keepSetting, keptSetting } from '../store/kept.ts';
import { newRecord } from './change.ts';
import { type MachineRecord, wireMachine } from './record.ts';

/** What may be asked of machines; all of it together. */
export type MachineFilter = Omit<MachineQuery, 'limit' | 'after'> & {
  readonly labels?: Readonly<Record<string, string>>;
};

/** A store of machines. Every implementation passes `store.test.ts`. Changes are made inside `Database.write`. */
export interface MachineStore {
  readonly get: (mac: string) => MachineRecord | null;
  /** Inserts or replaces. */
  readonly put: (record: MachineRecord) => void;
  /** False when there is none. */
  readonly delete: (mac: string) => boolean;
  /** In the order of MACs, those after `after`; `limit` null for all. */
  readonly list: (
    filter: MachineFilter,
    after: string | null,
    limit: number | null,
  ) => Iterable<MachineRecord>;
  /** `record` as JSON of the wire, now. */
  readonly wireOf: (record: MachineRecord) => string;
  /** As `list`, each as JSON of the wire. */
  readonly listWire: (filter: MachineFilter, after: string | null, limit: number | null) => Iterable<string>;
  /** All of them as JSON of the wire (UTF-8), in pieces of many, with commas within a piece. */
  readonly listText: (filter: MachineFilter, after: string | null) => Iterable<Uint8Array>;
  readonly count: (filter: MachineFilter) => number;
  /** How many there are in each phase. */
  readonly countByPhase: () => ReadonlyMap<string, number>;
  /** MACs whose silence is too long at `at`. */
  readonly due: (at: number) => readonly string[];
  /** The clock was set: lives that run, and boots that are counted, move `by` milliseconds with it. */
  readonly moveTime: (by: number) => void;
  /** Machines with this SMBIOS serial number, ten at most. */
  readonly withSerial: (serial: string) => readonly MachineRecord[];
  readonly putInventory: (mac: string, document: string, at: number) => void;
  readonly inventory: (mac: string) => { readonly takenAt: number; readonly document: string } | null;
}

type Row = Readonly<Record<string, string | number | bigint | Uint8Array | null>>;

const columns = [
  'mac',
  'image_sha256',
  'provisioning_mode',
  'hostname',
  'cijoe_task_ref',
  'boot_policy',
  'discovered_at',
  'last_seen_at',
  'last_seen_ip',
  'last_flashed_at',
  'last_task_run_at',
  'last_task_status',
  'last_task_output_path',
  'created_at',
  'updated_at',
  'revision',
  'target_disk',
  'labels',
  'notes',
  'smbios_uuid',
  'smbios_serial',
  'phase',
  'due_at',
  'life',
  'wire',
] as const;

/** Columns of the indexes that hold nearly every machine: a row that keeps them is written without a page of an index. */
const indexed: readonly (typeof columns)[number][] = [
  'image_sha256',
  'boot_policy',
  'smbios_serial',
  'phase',
];
const place = (column: (typeof columns)[number]) => `?${columns.indexOf(column) + 1}`;
/** All but the wire form, which is made of the others. */
const ofRecord = columns.slice(0, -1).join(', ');
const update = `UPDATE machines SET ${columns
  .filter((column) => column !== 'mac' && !indexed.includes(column))
  .map((column) => `${column} = ${place(column)}`)
  .join(', ')} WHERE mac = ${place('mac')}
  AND ${indexed.map((column) => `+${column} IS ${place(column)}`).join(' AND ')}`;
const upsert = `INSERT INTO machines (${columns.join(', ')}) VALUES (${columns.map(place).join(', ')})
  ON CONFLICT (mac) DO UPDATE SET ${columns
    .slice(1)
    .map((column) => `${column} = excluded.${column}`)
    .join(', ')}`;

/** Machines in the SQLite database. */
export function sqliteMachines(
  database: Database,
  limitOfBoots: LoopLimit,
  clock: () => number,
): MachineStore {
  /** How many machines there are, while nothing changes that. */
  let total: number | null = null;
  /** Of machines that were just put: whoever changed one is told how it is now. */
  const texts = new WeakMap<MachineRecord, string>();
  const wireOf: MachineStore['wireOf'] = (record) =>
    texts.get(record) ?? JSON.stringify(wireMachine(record, clock(), limitOfBoots));
  const listWire: MachineStore['listWire'] = (filter, after, limit) =>
    listed(database, 'mac, wire', filter, after, limit, (row) => {
      if (row.wire !== null) return String(row.wire);
      const found = database.prepare(`SELECT ${ofRecord} FROM machines WHERE mac = ?`).get(String(row.mac));
      return found ? wireOf(toRecord(found)) : '{}';
    });
  const put: MachineStore['put'] = (record) => {
    if (record.revision === 1) total = null;
    // Enough boots in a row stop a machine for a time: what comes next then depends on the clock.
    const timeless = record.life.boots.length < limitOfBoots.boots;
    const wire = timeless ? wireOf(record) : null;
    if (wire !== null) texts.set(record, wire);
    const values = [...toValues(record), wire];
    if (database.prepare(update).run(...values).changes === 0) database.prepare(upsert).run(...values);
  };
  renewWires(database, limitOfBoots, wireOf);
  return {
    get: (mac) => {
      const row = database.prepare(`SELECT ${ofRecord} FROM machines WHERE mac = ?`).get(mac);
      return row ? toRecord(row) : null;
    },
    put,
    delete: (mac) => {
      total = null;
      return Number(database.prepare('DELETE FROM machines WHERE mac = ?').run(mac).changes) > 0;
    },
    wireOf,
    list: (filter, after, limit) => listed(database, ofRecord, filter, after, limit, toRecord),
    listWire,
    listText: (filter, after) => joined(database, filter, after, listWire),
    count: (filter) => {
      if (Object.keys(filter).length === 0 && total !== null) return total;
      const { where, values } = conditions(filter, null);
      const row = database.prepare(`SELECT count(*) AS n FROM machines ${where}`).get(...values);
      const count = Number(row?.n ?? 0);
      if (Object.keys(filter).length === 0) total = count;
      return count;
    },
    countByPhase: () => {
      const rows = database.prepare('SELECT phase, count(*) AS n FROM machines GROUP BY phase').all();
      return new Map(rows.map((row) => [String(row.phase), Number(row.n)]));
    },
    due: (at) => {
      // What is due "far in the future" was heard before the clock was put back.
      const rows = database
        .prepare(
          'SELECT mac FROM machines WHERE due_at IS NOT NULL AND (due_at <= ? OR due_at > ?) LIMIT 1000',
        )
        .all(at, at + 3_600_000);
      return rows.map((row) => String(row.mac));
    },
    moveTime: (by) => {
      const rows = database
        .prepare(`SELECT ${ofRecord} FROM machines WHERE due_at IS NOT NULL OR life NOT LIKE '%"boots":[]%'`)
        .all();
      for (const row of rows) {
        const record = toRecord(row);
        const { since, heard, boots } = record.life;
        const life = { since: since + by, heard: heard + by, boots: boots.map((at) => at + by) };
        put({ ...record, life: { ...record.life, ...life } });
      }
    },
    withSerial: (serial) =>
      database
        .prepare(`SELECT ${ofRecord} FROM machines WHERE smbios_serial = ? LIMIT 10`)
        .all(serial)
        .map(toRecord),
    putInventory: (mac, document, at) =>
      void database
        .prepare(
          `INSERT INTO inventories (mac, taken_at, document) VALUES (?, ?, ?)
           ON CONFLICT (mac) DO UPDATE SET taken_at = excluded.taken_at, document = excluded.document`,
        )
        .run(mac, at, document),
    inventory: (mac) => {
      const row = database.prepare('SELECT taken_at, document FROM inventories WHERE mac = ?').get(mac);
      return row ? { takenAt: Number(row.taken_at), document: String(row.document) } : null;
    },
  };
}

/**
 * What is kept of each machine's form of the wire may be of another program, of other settings, or of a backup: then it
 * is made anew, a second for some ten thousand machines.
 */
function renewWires(database: Database, limit: LoopLimit, wireOf: (record: MachineRecord) => string): void {
  const name = 'machines-form';
  const form = JSON.stringify([limit.boots, wireMachine(newRecord('', 0), 0, limit)]);
  database.writeNow(() => {
    if (keptSetting(database, name) === form) return;
    database.connection.exec('UPDATE machines SET wire = NULL');
    keepSetting(database, name, form);
  });
  const some = `SELECT ${ofRecord} FROM machines WHERE mac > ? AND wire IS NULL ORDER BY mac LIMIT ${slice}`;
  for (let last = '', rows: Row[] = []; last === '' || rows.length === slice; ) {
    rows = database.prepare(some).all(last);
    last = String(rows.at(-1)?.mac ?? '-');
    database.writeNow(() => {
      for (const row of rows) {
        const record = toRecord(row);
        if (record.life.boots.length < limit.boots)
          database.prepare('UPDATE machines SET wire = ? WHERE mac = ?').run(wireOf(record), record.mac);
      }
    });
  }
}

/** Rows that are fetched at once: little memory however many machines there are, and few queries. */
const slice = 500;

function* listed<Item>(
  database: Database,
  columns: string,
  filter: MachineFilter,
  after: string | null,
  limit: number | null,
  read: (row: Row) => Item,
): Generator<Item> {
  let left = limit ?? Number.POSITIVE_INFINITY;
  let last = after;
  while (left > 0) {
    const { where, values } = conditions(filter, last);
    const size = Math.min(slice, left);
    // A page at a time, by key: a reader that is slow, or goes away, holds nothing open.
    const rows = database
      .prepare(`SELECT ${columns} FROM machines ${where} ORDER BY mac LIMIT ?`)
      .all(...values, size);
    for (const row of rows) yield read(row);
    left -= rows.length;
    last = rows.length > 0 ? String(rows[rows.length - 1]?.mac) : last;
    if (rows.length < size) return;
  }
}

/**
 * A slice of machines is joined by the database itself: a string for each would cost more than all the rest. SQLite
 * joins in the order of the inner query, whose LIMIT keeps it from being merged into the outer one.
 */
function* joined(
  database: Database,
  filter: MachineFilter,
  after: string | null,
  single: MachineStore['listWire'],
): Generator<Uint8Array> {
  for (let last = after; ; ) {
    const { where, values } = conditions(filter, last);
    const sql = `SELECT max(mac) AS mac, count(*) AS n, count(wire) AS ready, CAST(group_concat(wire, ',') AS BLOB) AS text
      FROM (SELECT mac, wire FROM machines ${where} ORDER BY mac LIMIT ?)`;
    const row = database.prepare(sql).get(...values, slice);
    const rows = Number(row?.n ?? 0);
    if (rows === 0) return;
    if (row?.ready === rows && row.text instanceof Uint8Array) yield row.text;
    else yield Buffer.from([...single(filter, last, rows)].join(','));
    if (rows < slice) return;
    last = String(row?.mac);
  }
}

function conditions(filter: MachineFilter, after: string | null) {
  const parts: string[] = [];
  const values: (string | number)[] = [];
  const add = (part: string, ...given: readonly string[]) => {
    parts.push(part);
    values.push(...given);
  };
  if (after !== null) add('mac > ?', after);
  if (filter.boot_policy !== undefined) add('boot_policy = ?', filter.boot_policy);
  if (filter.phase) add('phase = ?', filter.phase);
  if (filter.task_status) add('last_task_status = ?', filter.task_status);
  if (filter.image_sha256) add('image_sha256 = ?', filter.image_sha256);
  if (filter.q) {
    // LIKE takes ASCII letters of both cases for the same, and no others.
    const like = `%${filter.q.replaceAll(/[\\%_]/g, '\\$&')}%`;
    const searched = ['mac', 'hostname', 'labels', 'notes', 'last_seen_ip', 'smbios_serial'];
    const any = searched.map((column) => `${column} LIKE ? ESCAPE '\\'`).join(' OR ');
    add(`(${any})`, ...searched.map(() => like));
  }
  const labels: [string, string | null][] = Object.entries(filter.labels ?? {});
  if (filter.label) {
    const [name = '', ...value] = filter.label.split('=');
    labels.push([name, value.length > 0 ? value.join('=') : null]);
  }
  for (const [name, value] of labels) {
    const one = value === null ? '' : ' AND label.value = ?';
    const found = `SELECT 1 FROM json_each(machines.labels) AS label WHERE label.key = ?${one}`;
    // A row that is damaged has none; the order of evaluation is that of CASE alone.
    add(
      `CASE WHEN json_valid(labels) THEN EXISTS (${found}) ELSE 0 END`,
      name,
      ...(value === null ? [] : [value]),
    );
  }
  return { where: parts.length > 0 ? `WHERE ${parts.join(' AND ')}` : '', values };
}

const number = (value: Row[string] | undefined) =>
  value === null || value === undefined ? null : Number(value);
const string = (value: Row[string] | undefined) =>
  value === null || value === undefined ? null : String(value);

function toRecord(row: Row): MachineRecord {
  const disk = string(row.target_disk);
  return {
    mac: String(row.mac),
    imageSha256: string(row.image_sha256),
    provisioningMode: row.provisioning_mode === 'cijoe-task' ? 'cijoe-task' : 'none',
    hostname: string(row.hostname),
    cijoeTaskRef: string(row.cijoe_task_ref),
    bootPolicy: policyOf(row.boot_policy),
    discoveredAt: number(row.discovered_at),
    lastSeenAt: number(row.last_seen_at),
    lastSeenIp: string(row.last_seen_ip),
    lastFlashedAt: number(row.last_flashed_at),
    lastTaskRunAt: number(row.last_task_run_at),
    lastTaskStatus: string(row.last_task_status),
    lastTaskOutputPath: string(row.last_task_output_path),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
    revision: Number(row.revision),
    targetDisk:
      disk === null ? null : ((objectIn(disk) as DiskRule | null) ?? { kind: 'serial', serial: unreadable }),
    labels: row.labels === '{}' ? {} : ((objectIn(row.labels) ?? {}) as Record<string, string>),
    notes: string(row.notes),
    smbiosUuid: string(row.smbios_uuid),
    smbiosSerial: string(row.smbios_serial),
    life: lifeIn(row),
  };
}

/** In the place of a rule for disks that cannot be read: no disk has such a serial number, so none is written. */
const unreadable = '(the rule cannot be read)';

/** A machine whose life cannot be read is stopped: it may be flashed already, so an operator has to decide anew. */
function lifeIn(row: Row): Life {
  const found = objectIn(row.life) as Partial<Life> | null;
  const whole =
    found !== null &&
    phases.some((phase) => phase === found.phase) &&
    typeof found.since === 'number' &&
    typeof found.heard === 'number' &&
    Array.isArray(found.boots);
  if (whole) return found as Life;
  const failure = {
    code: 'INTERNAL',
    message: 'What is written of this machine cannot be read.',
    advice: 'Restore a backup, or save the machine anew.',
    details: {},
  };
  const fresh = newLife({ policy: 'local', image: null }, Number(row.updated_at));
  return { ...fresh, phase: 'stopped', failure };
}

function policyOf(value: unknown): BootPolicy {
  return bootPolicies.find((policy) => policy === value) ?? 'local';
}

function toValues(record: MachineRecord): (string | number | null)[] {
  return [
    record.mac,
    record.imageSha256,
    record.provisioningMode,
    record.hostname,
    record.cijoeTaskRef,
    record.bootPolicy,
    record.discoveredAt,
    record.lastSeenAt,
    record.lastSeenIp,
    record.lastFlashedAt,
    record.lastTaskRunAt,
    record.lastTaskStatus,
    record.lastTaskOutputPath,
    record.createdAt,
    record.updatedAt,
    record.revision,
    record.targetDisk === null ? null : JSON.stringify(record.targetDisk),
    JSON.stringify(record.labels),
    record.notes,
    record.smbiosUuid,
    record.smbiosSerial,
    record.life.phase,
    deadline(record.life),
    JSON.stringify(record.life),
  ];
}
