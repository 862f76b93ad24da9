/** Boots in the database. */
import { Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Database } from '../store/database.ts';
import { valueIn } from '../store/json.ts';
import { type Boot, type Stage, stages } from './boot.ts';
import type { Captured } from './pcap.ts';
import type { Step } from './step.ts';

export interface KeptBoot extends Boot {
  readonly id: number;
}

/** Boots kept of one machine, and of all together. */
export const mostBoots = 30;
const mostBootsTogether = 20_000;

const Steps = Type.Array(Type.Object({ at: Type.Number(), kind: Type.String() }));

function stepsOf(text: unknown): readonly Step[] {
  const value = valueIn(text);
  // Written by this module alone; a step of a newer version is only shown.
  return Check(Steps, value) ? (value as unknown as readonly Step[]) : [];
}

function bootOf(row: Record<string, unknown>): KeptBoot {
  const stage = stages.find((name) => name === row.stage) ?? ('asked' satisfies Stage);
  return {
    id: Number(row.id),
    mac: String(row.mac),
    startedAt: Number(row.started_at),
    lastAt: Number(row.last_at),
    stage,
    dropped: Number(row.dropped),
    steps: stepsOf(row.steps),
  };
}

export class BootStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(id: number): KeptBoot | null {
    const row = this.#database.prepare('SELECT * FROM boots WHERE id = ?').get(id);
    return row ? bootOf(row) : null;
  }

  /** Boots of a machine, the newest first. */
  list(mac: string, limit: number): readonly KeptBoot[] {
    const rows = this.#database.prepare('SELECT * FROM boots WHERE mac = ? ORDER BY id DESC LIMIT ?');
    return rows.all(mac, limit).map(bootOf);
  }

  datagrams(id: number): readonly Captured[] {
    const rows = this.#database.prepare('SELECT * FROM boot_datagrams WHERE boot = ? ORDER BY number');
    return rows.all(id).map((row) => ({
      at: Number(row.at),
      from: { address: String(row.source), port: Number(row.source_port) },
      to: { address: String(row.target), port: Number(row.target_port) },
      length: Number(row.length),
      payload: row.payload instanceof Uint8Array ? row.payload : new Uint8Array(0),
    }));
  }

  /** Inside a write: enters a boot; answers its id. */
  insert(boot: Boot): number {
    const sql =
      'INSERT INTO boots (mac, started_at, last_at, stage, dropped, steps) VALUES (?, ?, ?, ?, ?, ?)';
    const { mac, startedAt, lastAt, stage, dropped, steps } = boot;
    const { lastInsertRowid } = this.#database
      .prepare(sql)
      .run(mac, startedAt, lastAt, stage, dropped, JSON.stringify(steps));
    return Number(lastInsertRowid);
  }

  /** Inside a write. */
  update(id: number, { lastAt, stage, dropped, steps }: Boot): void {
    this.#database
      .prepare('UPDATE boots SET last_at = ?, stage = ?, dropped = ?, steps = ? WHERE id = ?')
      .run(lastAt, stage, dropped, JSON.stringify(steps), id);
  }

  /** Inside a write. */
  addDatagram(id: number, number: number, { at, from, to, length, payload }: Captured): void {
    this.#database
      .prepare('INSERT OR IGNORE INTO boot_datagrams VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
      .run(id, number, at, from.address, from.port, to.address, to.port, length, payload);
  }

  /** Inside a write: forgets the oldest boots of a machine, and the oldest of all. */
  trim(mac: string): void {
    this.#database
      .prepare(
        'DELETE FROM boots WHERE mac = ?1 AND id <= (SELECT id FROM boots WHERE mac = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)',
      )
      .run(mac, mostBoots);
    this.#database
      .prepare('DELETE FROM boots WHERE id <= (SELECT max(id) FROM boots) - ?')
      .run(mostBootsTogether);
  }
}
