/** The event log: append-only, each event bound to the one before it by a hash. */
import { hash as digest } from 'node:crypto';
import type { Event, EventFilter } from '../../shared/contract/event.ts';
import type { Database } from '../store/database.ts';
import { objectIn } from '../store/json.ts';
import type { Hub } from './hub.ts';

export type SubjectKind =
  | 'machine'
  | 'image'
  | 'catalog'
  | 'boot'
  | 'settings'
  | 'auth'
  | 'audit'
  | 'network'
  | 'job'
  | 'rollout'
  | 'task';

export interface NewEvent {
  readonly kind: string;
  readonly subject: readonly [SubjectKind, string] | null;
  /** `operator`, `system`, `pxe-client`, or the name of an API token. */
  readonly actor: string;
  readonly address: string | null;
  /** One sentence. */
  readonly summary: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

interface Row {
  readonly id: number;
  readonly ts: string;
  readonly kind: string;
  readonly subject_kind: string | null;
  readonly subject_id: string | null;
  readonly actor: string | null;
  readonly source_ip: string | null;
  readonly summary: string;
  readonly details: string | null;
  readonly hash: string;
}

/** What `verify` found. */
export type Verdict =
  | { readonly kind: 'intact'; readonly events: number; readonly firstId: number; readonly lastHash: string }
  | { readonly kind: 'broken'; readonly id: number; readonly problem: string };

interface Place {
  readonly id: number;
  readonly hash: string;
}

/** Version of the database from which on it keeps the last event a second time (migration 004). */
const headSince = 4;
const nothing: Place = { id: 0, hash: '0'.repeat(64) };

export class EventLog {
  readonly #database: Database;
  readonly #hub: Hub;
  readonly #clock: () => number;
  /** What the next event follows, as long as nothing was taken back since. */
  #place: (Place & { readonly undone: number }) | null = null;

  constructor(database: Database, hub: Hub, clock: () => number) {
    this.#database = database;
    this.#hub = hub;
    this.#clock = clock;
  }

  /** Appends inside a write of the database; it exists when that write does. Answers its id. */
  append(event: NewEvent): number {
    const last = this.#last();
    const [subjectKind, subjectId] = event.subject ?? [null, null];
    // What is hashed must be what the database keeps: half a surrogate pair would be kept as another letter.
    const kept = (text: string | null) => text?.toWellFormed() ?? null;
    const row = {
      id: last.id + 1,
      ts: new Date(this.#clock()).toISOString().replace('Z', '000+00:00'),
      kind: event.kind,
      subject_kind: subjectKind,
      subject_id: kept(subjectId),
      actor: event.actor.toWellFormed(),
      source_ip: kept(event.address),
      summary: event.summary.toWellFormed(),
      details: event.details === undefined ? null : JSON.stringify(event.details),
    };
    const hash = chained(last.hash, row);
    this.#database
      .prepare(
        `INSERT INTO events (id, ts, kind, subject_kind, subject_id, actor, source_ip, summary, details, hash)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(...fields(row), hash);
    this.#place = { id: row.id, hash, undone: this.#database.undone };
    this.#database.beforeCommit(this.#keepHead);
    this.#database.afterCommit(() => this.#hub.publish({ kind: 'event', id: row.id }));
    return row.id;
  }

  /** The last of all events that one transaction appends. */
  readonly #keepHead = (): void => {
    const { id, hash } = this.#last();
    this.#database
      .prepare('INSERT OR REPLACE INTO event_head (one, id, hash) VALUES (1, ?, ?)')
      .run(id, hash);
  };

  /** Appends in a write of its own. */
  record(event: NewEvent): Promise<number> {
    return this.#database.write(() => this.append(event));
  }

  /** Newest first. */
  list(filter: EventFilter): Event[] {
    const conditions: string[] = [];
    const values: (string | number)[] = [];
    for (const column of ['kind', 'subject_kind', 'subject_id', 'actor', 'source_ip'] as const) {
      const wanted = filter[column];
      if (wanted === undefined || wanted === '') continue;
      conditions.push(`${column} = ?`);
      values.push(wanted);
    }
    if (filter.failed) conditions.push("kind LIKE '%failed'");
    if (filter.before_id !== undefined) {
      conditions.push('id < ?');
      values.push(filter.before_id);
    }
    const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
    const limit = Math.min(500, Math.max(1, filter.limit ?? 50));
    const rows = this.#database
      .prepare(`SELECT * FROM events ${where} ORDER BY id DESC LIMIT ?`)
      .all(...values, limit);
    return (rows as unknown as Row[]).map(toEvent);
  }

  /** Oldest first, from the event after `id` on, read one by one: who stops early has read no more. */
  *after(id: number, limit: number): Generator<Event> {
    const rows = this.#database.prepareFresh('SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?');
    for (const row of rows.iterate(id, limit)) yield toEvent(row as unknown as Row);
  }

  lastId(): number {
    return this.#last().id;
  }

  /**
   * Follows the chain from its start, or from where retention cut it, to the last event that was ever written.
   * `expected`: the hash of an event that must (still) be in it, as an earlier verification told it.
   */
  verify(expected: string | null = null): Verdict {
    const { connection } = this.#database;
    if (connection.isTransaction) return this.#verifyInside(expected);
    // The appliance may write meanwhile.
    connection.exec('BEGIN');
    try {
      return this.#verifyInside(expected);
    } finally {
      connection.exec('COMMIT');
    }
  }

  #verifyInside(expected: string | null): Verdict {
    const anchor = this.#anchor();
    let before = anchor;
    let events = 0;
    let found = expected === null || expected === anchor.hash;
    let trimmed = anchor.id === 0;
    for (const value of this.#database.prepareFresh('SELECT * FROM events ORDER BY id').iterate()) {
      const row = value as unknown as Row;
      const next = before.id + 1;
      if (row.id !== next) {
        const missing = row.id > next ? `events ${next} to ${row.id - 1} are missing` : 'it stands twice';
        return { kind: 'broken', id: row.id, problem: missing };
      }
      if (row.hash !== chained(before.hash, row))
        return { kind: 'broken', id: row.id, problem: 'this event, or the hash before it, was changed' };
      before = row;
      events++;
      found ||= row.hash === expected;
      trimmed ||= row.kind === 'audit.trimmed' && tellsOf(row, anchor);
    }
    const head = this.#head();
    if (head !== null && head.id > before.id) {
      const problem = `events ${before.id + 1} to ${head.id} are missing at the end`;
      return { kind: 'broken', id: head.id, problem };
    }
    if (head !== null && (head.id !== before.id || head.hash !== before.hash))
      return { kind: 'broken', id: before.id, problem: 'it is not the last event that was written' };
    const first = anchor.id + 1;
    if (!trimmed)
      return { kind: 'broken', id: first, problem: 'no event tells that those before it were removed' };
    if (!found)
      return { kind: 'broken', id: before.id, problem: 'no event up to this one has the expected hash' };
    return { kind: 'intact', events, firstId: first, lastHash: before.hash };
  }

  /** Takes away events older than `before` (milliseconds since 1970); what is left stays provable. */
  trim(before: number): Promise<number> {
    return this.#database.write(() => {
      const oldest = new Date(before).toISOString().replace('Z', '000+00:00');
      // Clocks jump; only the unbroken run of old events at the start goes.
      const keep = this.#database.prepare('SELECT min(id) AS id FROM events WHERE ts >= ?').get(oldest)?.id;
      const boundary = keep === null || keep === undefined ? this.#last().id + 1 : Number(keep);
      const last = this.#database
        .prepare('SELECT id, hash FROM events WHERE id < ? ORDER BY id DESC LIMIT 1')
        .get(boundary);
      if (last === undefined) return 0;
      this.#database
        .prepare('INSERT OR REPLACE INTO event_anchor (one, id, hash) VALUES (1, ?, ?)')
        .run(Number(last.id), String(last.hash));
      const { changes } = this.#database.prepare('DELETE FROM events WHERE id < ?').run(boundary);
      this.append({
        kind: 'audit.trimmed',
        subject: ['audit', 'events'],
        actor: 'system',
        address: null,
        summary: `${changes} events older than ${oldest} were removed as the retention setting says.`,
        details: { removed: Number(changes), last_id: Number(last.id), last_hash: String(last.hash) },
      });
      return Number(changes);
    });
  }

  /** What the next event follows. Events that somebody cut off at the end stay missing. */
  #last(): Place {
    if (this.#place !== null && this.#place.undone === this.#database.undone) return this.#place;
    const row = this.#database.prepare('SELECT id, hash FROM events ORDER BY id DESC LIMIT 1').get();
    const last = row ? { id: Number(row.id), hash: String(row.hash) } : this.#anchor();
    const head = this.#head();
    return head !== null && head.id > last.id ? head : last;
  }

  /** The last event that was ever written; null in a database of before this was kept. */
  #head(): Place | null {
    const version = this.#database.prepare('PRAGMA user_version').get()?.user_version;
    if (Number(version) < headSince) return null;
    const row = this.#database.prepare('SELECT id, hash FROM event_head').get();
    return row ? { id: Number(row.id), hash: String(row.hash) } : nothing;
  }

  #anchor(): Place {
    const row = this.#database.prepare('SELECT id, hash FROM event_anchor').get();
    return row ? { id: Number(row.id), hash: String(row.hash) } : nothing;
  }
}

type Unhashed = Omit<Row, 'hash'>;

function fields(row: Unhashed) {
  const { id, ts, kind, subject_kind, subject_id, actor, source_ip, summary, details } = row;
  return [id, ts, kind, subject_kind, subject_id, actor, source_ip, summary, details] as const;
}

function chained(before: string, row: Unhashed): string {
  return digest('sha256', `${before}\n${JSON.stringify(fields(row))}`);
}

/** Whether `row`, an event of retention, says that it removed everything up to `anchor`. */
function tellsOf(row: Row, anchor: Place): boolean {
  const { last_id, last_hash } = toEvent(row).details ?? {};
  return last_id === anchor.id && last_hash === anchor.hash;
}

/** Text that is no JSON object was not written by `append`: one such row must not hide the other ones. */
function detailsIn(text: string): Event['details'] {
  return (objectIn(text) as Event['details']) ?? { unreadable: text.slice(0, 1000) };
}

function toEvent(row: Row): Event {
  const details = row.details === null ? null : detailsIn(row.details);
  const { id, ts, kind, subject_kind, subject_id, actor, source_ip, summary } = row;
  return { id, ts, kind, subject_kind, subject_id, actor, source_ip, summary, details, hash: row.hash };
}
