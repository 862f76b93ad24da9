/** The machines: what the operator decides about them, and what they tell. Every change is one write with its events. */

import type { MachineAction, MachineUpsert } from '../../shared/contract/machine.ts';
import { type Life, type LoopLimit, ticked } from '../../shared/machine/life.ts';
import type { Config } from '../config/settings.ts';
import type { Hub, MachineNow } from '../events/hub.ts';
import type { EventLog, NewEvent } from '../events/log.ts';
import { Problem } from '../http/problem.ts';
import type { Database } from '../store/database.ts';
import { type ChangeKind, changed, describedIn } from './change.ts';
import { etagOf, type MachineRecord } from './record.ts';
import type { MachineStore } from './store.ts';

/** Who causes a change, and from where. */
export interface Author {
  readonly actor: string;
  readonly address: string | null;
}

export interface MachinesNeeds {
  readonly database: Database;
  readonly store: MachineStore;
  readonly events: EventLog;
  readonly hub: Hub;
  readonly config: Config;
  readonly clock: () => number;
}

/** Headers of those names (RFC 9110, 13.1.1 and 13.1.2), null where there was none. */
export interface Conditions {
  readonly ifMatch: string | null;
  readonly ifNoneMatch: string | null;
}

export interface BulkResult {
  readonly matched: number;
  readonly changed: readonly string[];
  readonly skipped: readonly { readonly mac: string; readonly reason: string }[];
}

export class Machines {
  readonly store: MachineStore;
  readonly limit: LoopLimit;
  /** Inside the write that forgets a machine: whoever works on it lets it go. */
  forgottenInside: (mac: string) => void = () => {};
  /** Inside the write of an operator's change: whoever waits for the machine heeds it. True when it changed the record. */
  changedInside: (before: MachineRecord, after: MachineRecord, author: Author) => boolean = () => false;
  readonly #needs: MachinesNeeds;

  constructor(needs: MachinesNeeds) {
    this.#needs = needs;
    this.store = needs.store;
    this.limit = { boots: needs.config.loopBoots, minutes: needs.config.loopMinutes };
  }

  /** Makes or changes a machine. */
  save(
    mac: string,
    body: MachineUpsert,
    kind: ChangeKind,
    conditions: Conditions | null,
    author: Author,
  ): Promise<MachineRecord> {
    return this.#needs.database.write(() => {
      const before = this.store.get(mac);
      if (kind === 'patch' && before === null) throw unknownMachine(mac);
      checkConditions(before, conditions);
      return this.#saveInside(mac, before, body, kind, author);
    });
  }

  /** False when there is no such machine. */
  delete(mac: string, conditions: Conditions | null, author: Author): Promise<boolean> {
    return this.#needs.database.write(() => {
      const before = this.store.get(mac);
      checkConditions(before, conditions);
      if (before === null) return false;
      this.#deleteInside(before, author);
      return true;
    });
  }

  /** One action on many machines, all in one transaction or none. */
  act(macs: readonly string[] | null, body: MachineAction, author: Author): Promise<BulkResult> {
    return this.#needs.database.write(() => this.actInside(macs, body, author));
  }

  /** As `act`, inside a write. */
  actInside(macs: readonly string[] | null, body: MachineAction, author: Author): BulkResult {
    const limit = body.limit ?? this.#needs.config.bulkLimit;
    const { found, skipped } = this.#selected(macs, body);
    if (found.length > limit) {
      const problem = `${found.length} machines are meant, and the limit is ${limit}; nothing was changed`;
      throw new Problem(409, problem);
    }
    const done: string[] = [];
    for (const record of found) {
      const image = body.image_sha256 === undefined ? record.imageSha256 : body.image_sha256;
      if (body.action === 'arm' && image === null) {
        skipped.push({ mac: record.mac, reason: 'no image is bound' });
        continue;
      }
      done.push(record.mac);
      if (body.dry_run === true) continue;
      if (body.action === 'delete') this.#deleteInside(record, author);
      else this.#saveInside(record.mac, record, bulkChange(record, body), 'patch', author);
    }
    return { matched: found.length, changed: done, skipped };
  }

  /** Ends silences that are too long. Answers how many machines that were. */
  tick(): Promise<number> {
    const at = this.#needs.clock();
    const due = this.store.due(at);
    if (due.length === 0) return Promise.resolve(0);
    return this.#needs.database.write(() => {
      for (const mac of due) {
        const record = this.store.get(mac);
        if (record) this.move(record, ticked(record.life, at), { actor: 'system', address: null });
      }
      return due.length;
    });
  }

  /**
   * Inside a write: `record` with its life (and other changes). A change of phase is an event, of the kind
   * `machine.<phase>` or as `event` says.
   */
  move(
    record: MachineRecord,
    life: Life,
    author: Author,
    changes: Partial<MachineRecord> = {},
    event: { readonly kind: string; readonly summary: string; readonly details?: object } | null = null,
  ): MachineRecord {
    const after = { ...record, ...changes, life };
    this.store.put(after);
    const from = record.life.phase;
    const to = life.phase;
    if (event !== null || from !== to) {
      const { plan, step, attempt, failure } = life;
      this.append(after.mac, author, {
        kind: event?.kind ?? `machine.${to}`,
        summary: event?.summary ?? `${after.mac}: ${from} -> ${to}${failure ? `: ${failure.message}` : ''}`,
        details: {
          from,
          to,
          plan,
          ...(step === null ? {} : { step, attempt }),
          ...(failure === null ? {} : { error: failure.message, code: failure.code }),
          ...event?.details,
        },
      });
    }
    this.tellOf(after.mac, { life, lastSeenIp: after.lastSeenIp });
    return after;
  }

  /** Inside a write: appends an event about the machine. */
  append(mac: string, author: Author, event: Pick<NewEvent, 'kind' | 'summary' | 'details'>): void {
    this.#needs.events.append({ ...event, subject: ['machine', mac], ...author });
  }

  /** Inside a write: whoever listens is told, once it is written. `now` where its life may have gone on. */
  tellOf(mac: string, now: MachineNow | null = null): void {
    this.#needs.database.afterCommit(() => this.#needs.hub.publish({ kind: 'machine', mac, now }));
  }

  #saveInside(
    mac: string,
    before: MachineRecord | null,
    body: MachineUpsert,
    kind: ChangeKind,
    author: Author,
  ): MachineRecord {
    const after = changed(mac, before, body, kind, this.#needs.clock());
    const details = { ...describedIn(after), before: before === null ? null : describedIn(before) };
    const event =
      before === null
        ? { kind: 'machine.created', summary: `${mac} was entered.`, details }
        : { kind: 'machine.upserted', summary: `${mac} was changed.`, details };
    const moved = this.move({ ...after, life: before?.life ?? after.life }, after.life, author, {}, event);
    const isHeeded = before !== null && this.changedInside(before, moved, author);
    return isHeeded ? (this.store.get(mac) ?? moved) : moved;
  }

  #deleteInside(record: MachineRecord, author: Author): void {
    this.store.delete(record.mac);
    this.forgottenInside(record.mac);
    this.append(record.mac, author, {
      kind: 'machine.deleted',
      summary: `${record.mac} was forgotten.`,
      details: { before: describedIn(record) },
    });
    this.tellOf(record.mac);
  }

  #selected(macs: readonly string[] | null, body: MachineAction) {
    const skipped: { mac: string; reason: string }[] = [];
    const filter = { labels: body.labels ?? {} };
    if (macs === null) return { found: [...this.store.list(filter, null, null)], skipped };
    const found: MachineRecord[] = [];
    for (const mac of new Set(macs)) {
      const record = this.store.get(mac);
      if (record === null) skipped.push({ mac, reason: 'no such machine' });
      else if (Object.entries(filter.labels).every(([name, value]) => record.labels[name] === value))
        found.push(record);
    }
    return { found, skipped };
  }
}

function bulkChange(record: MachineRecord, body: MachineAction): MachineUpsert {
  switch (body.action) {
    case 'arm': {
      const flashes = record.bootPolicy === 'flash' || record.bootPolicy === 'flash-once';
      const image = body.image_sha256 === undefined ? {} : { image_sha256: body.image_sha256 };
      return { boot_policy: flashes ? record.bootPolicy : 'flash-once', ...image };
    }
    case 'set-image':
      return body.image_sha256 === undefined ? {} : { image_sha256: body.image_sha256 };
    case 'set-policy':
      return body.boot_policy === undefined ? {} : { boot_policy: body.boot_policy };
    default:
      return { boot_policy: 'local' };
  }
}

function checkConditions(record: MachineRecord | null, conditions: Conditions | null): void {
  const named = (header: string) => {
    const tags = header.split(',').map((tag) => tag.trim());
    return record !== null && (tags.includes('*') || tags.includes(etagOf(record)));
  };
  const { ifMatch = null, ifNoneMatch = null } = conditions ?? {};
  if (ifMatch !== null && !named(ifMatch)) throw new Problem(412, 'the machine has changed since that etag');
  if (ifNoneMatch !== null && named(ifNoneMatch.replaceAll(/\bW\//g, '')))
    throw new Problem(412, 'there is such a machine');
}

export function unknownMachine(mac: string): Problem {
  return new Problem(404, `no machine record for ${mac}`);
}
