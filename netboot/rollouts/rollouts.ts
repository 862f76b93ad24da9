/** Roll-outs that run: `shared/lab/rollout.ts` decides, and this arms machines, remembers, and looks at what comes of it. */
import { Type } from 'typebox';
import { Check } from 'typebox/value';
import type { RolloutOrder, RolloutRow } from '../../shared/contract/rollout.ts';
import {
  judge,
  newRollout,
  type Rollout,
  type Tried,
  type Verdict,
  waveOf,
  withBefore,
} from '../../shared/lab/rollout.ts';
import { Problem } from '../http/problem.ts';
import type { Author } from '../machines/machines.ts';
import { wireMachine, wireTime } from '../machines/record.ts';
import type { Services } from '../services.ts';
import { valueIn } from '../store/json.ts';

type Needs = Pick<Services, 'database' | 'machines' | 'events' | 'hub' | 'clock' | 'log'>;

interface Kept {
  readonly id: number;
  readonly rollout: Rollout;
  readonly begunAt: number;
  readonly begunBy: string;
  readonly endedAt: number | null;
}

interface Running {
  kept: Kept;
  readonly macs: ReadonlySet<string>;
  /** Machines of the waves so far, as they were last looked at. */
  readonly tried: Map<string, Tried>;
  /** Machines that have to be looked at again. */
  readonly due: Set<string>;
}

/** News that come together are looked at together, in milliseconds. */
const gather = 250;
/** Roll-outs that ended and are still told of. */
const mostEnded = 50;
const system: Author = { actor: 'system', address: null };

export class Rollouts {
  readonly #needs: Needs;
  readonly #running = new Map<number, Running>();
  readonly #silence: () => void;
  #timer: NodeJS.Timeout | null = null;
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  /** Goes on with those that ran. */
  constructor(needs: Needs) {
    this.#needs = needs;
    const rows = needs.database.prepare('SELECT * FROM rollouts WHERE running = 1 ORDER BY id').all();
    for (const row of rows) {
      const kept = keptOf(row);
      if (kept !== null) this.#take(kept);
      else needs.log.error('roll-out', { id: Number(row.id), problem: 'what is kept of it cannot be read' });
    }
    this.#silence = needs.hub.listen((news) => {
      if (news.kind !== 'machine') return;
      for (const { macs, due } of this.#running.values()) if (macs.has(news.mac)) due.add(news.mac);
      this.#soon();
    });
    if (this.#running.size > 0) this.#soon();
  }

  list(): readonly RolloutRow[] {
    const ended = this.#needs.database
      .prepare('SELECT * FROM rollouts WHERE running = 0 ORDER BY id DESC LIMIT ?')
      .all(mostEnded);
    const running = [...this.#running.values()].map((one) => rowOf(one.kept, verdictOf(one)));
    const over = ended.map(keptOf).filter((kept) => kept !== null);
    return [...running, ...over.map(endedRow)].sort((one, other) => other.id - one.id);
  }

  get(id: number): RolloutRow {
    const running = this.#running.get(id);
    if (running) return rowOf(running.kept, verdictOf(running));
    const row = this.#needs.database.prepare('SELECT * FROM rollouts WHERE id = ?').get(id);
    const kept = row && keptOf(row);
    if (!kept) throw new Problem(404, `no roll-out ${id}`);
    return endedRow(kept);
  }

  /** `name`: of the image, for people. */
  async begin(order: RolloutOrder, name: string, limit: number, author: Author): Promise<RolloutRow> {
    const { database, machines, clock } = this.#needs;
    const rollout = newRollout(order.image_sha256, name, order.macs, order.allowed);
    const count = rollout.macs.length;
    if (count > limit)
      throw new Problem(409, `${count} machines are meant, and the limit is ${limit}; nothing was begun`);
    // One after the other: two that are begun at once must not share a machine.
    const id = await this.#inTurn(async () => {
      for (const [other, { macs }] of this.#running) {
        const shared = rollout.macs.find((mac) => macs.has(mac));
        if (shared === undefined) continue;
        throw new Problem(409, `${shared} is in the roll-out ${other}, which still runs; nothing was begun`);
      }
      const kept = await database.write(() => {
        const unknown = rollout.macs.find((mac) => machines.store.get(mac) === null);
        if (unknown !== undefined)
          throw new Problem(409, `there is no machine ${unknown}; nothing was begun`);
        const begunAt = clock();
        const { lastInsertRowid } = database
          .prepare('INSERT INTO rollouts (running, state, begun_at, begun_by) VALUES (1, ?, ?, ?)')
          .run(JSON.stringify(rollout), begunAt, author.actor);
        const made = { id: Number(lastInsertRowid), rollout, begunAt, begunBy: author.actor, endedAt: null };
        this.#append(made, 'begun', `${name} is rolled out to ${count} machines.`, author);
        return made;
      });
      this.#take(kept);
      return kept.id;
    });
    await this.#step();
    return this.get(id);
  }

  async cancel(id: number, author: Author): Promise<RolloutRow> {
    await this.#inTurn(async () => {
      const running = this.#running.get(id);
      if (running) await this.#end(running, 'cancelled', author);
    });
    return this.get(id);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#silence();
    if (this.#timer) clearTimeout(this.#timer);
    return this.#turn;
  }

  #take(kept: Kept): Running {
    const { rollout } = kept;
    const running = {
      kept,
      macs: new Set(rollout.macs),
      tried: new Map<string, Tried>(),
      due: new Set(rollout.macs.slice(0, rollout.waves[rollout.wave] ?? rollout.macs.length)),
    };
    this.#running.set(kept.id, running);
    return running;
  }

  #soon(): void {
    if (this.#closed || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#step();
    }, gather);
  }

  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const mine = this.#turn.then(work);
    this.#turn = mine.then(
      () => undefined,
      () => undefined,
    );
    return mine;
  }

  #step(): Promise<void> {
    return this.#inTurn(async () => {
      for (const running of [...this.#running.values()]) {
        if (this.#closed) return;
        this.#look(running);
        await this.#decide(running);
      }
    }).catch((error: unknown) => this.#needs.log.error('rollouts', { problem: String(error) }));
  }

  #look({ tried, due, kept }: Running): void {
    const { machines } = this.#needs;
    const turns = new Set(kept.rollout.macs.slice(0, kept.rollout.waves[kept.rollout.wave]));
    for (const mac of due) {
      if (!turns.has(mac)) continue;
      const record = machines.store.get(mac);
      if (record === null) tried.delete(mac);
      else tried.set(mac, wireMachine(record, this.#needs.clock(), machines.limit));
    }
    due.clear();
  }

  async #decide(running: Running): Promise<void> {
    const { rollout } = running.kept;
    switch (verdictOf(running).next) {
      case 'wait':
        return;
      case 'begin':
        return this.#arm(running, rollout);
      case 'next':
        return this.#arm(running, { ...rollout, wave: rollout.wave + 1 });
      case 'stop':
        return this.#end(running, 'stopped', system);
      case 'finish':
        return this.#end(running, 'finished', system);
    }
  }

  /** A wave is remembered and armed in one write: after a power cut it has been both, or neither. */
  async #arm(running: Running, rollout: Rollout): Promise<void> {
    const { database, machines } = this.#needs;
    const macs = [...waveOf(rollout)];
    const kept = await database.write(() => {
      for (const mac of macs) {
        const record = machines.store.get(mac);
        if (record !== null) running.tried.set(mac, wireMachine(record, this.#needs.clock(), machines.limit));
      }
      const next = { ...running.kept, rollout: withBefore(rollout, running.tried) };
      this.#save(next);
      const author = { actor: running.kept.begunBy, address: null };
      machines.actInside(macs, { action: 'arm', image_sha256: rollout.image, limit: macs.length }, author);
      const wave = `wave ${rollout.wave + 1} of ${rollout.waves.length}`;
      this.#append(next, 'wave', `${rollout.name}: ${wave} begins with ${macs.length} machines.`, system);
      return next;
    });
    running.kept = kept;
    for (const mac of macs) running.due.add(mac);
    this.#soon();
  }

  async #end(running: Running, state: 'stopped' | 'cancelled' | 'finished', author: Author): Promise<void> {
    const { database, machines, clock } = this.#needs;
    this.#look(running);
    const { done, failed, left } = verdictOf(running);
    const { rollout } = running.kept;
    const kept = await database.write(() => {
      const ended = { ...running.kept, rollout: { ...rollout, state }, endedAt: clock() };
      const row = rowOf(ended, verdictOf(running));
      this.#save(ended, row);
      const armed = Object.keys(rollout.before).filter((mac) => isArmed(machines.store.get(mac)));
      if (armed.length > 0) machines.actInside(armed, { action: 'disarm', limit: armed.length }, author);
      const counts = `${done} flashed, ${failed} failed, ${left} left alone`;
      this.#append(ended, state, `The roll-out of ${rollout.name} ${words[state]}: ${counts}.`, author);
      return ended;
    });
    this.#running.delete(kept.id);
  }

  #save({ id, rollout, endedAt }: Kept, row: RolloutRow | null = null): void {
    const state = row === null ? rollout : { ...rollout, ended: row };
    this.#needs.database
      .prepare('UPDATE rollouts SET running = ?, state = ?, ended_at = ? WHERE id = ?')
      .run(row === null ? 1 : 0, JSON.stringify(state), endedAt, id);
  }

  #append({ id, rollout }: Kept, what: string, summary: string, author: Author): void {
    const { image, name, wave, waves, allowed } = rollout;
    const details = { image, name, wave, waves, allowed, machines: rollout.macs.length };
    this.#needs.events.append({
      kind: `rollout.${what}`,
      subject: ['rollout', String(id)],
      ...author,
      summary,
      details,
    });
  }
}

const words = { stopped: 'was stopped', cancelled: 'was cancelled', finished: 'finished' } as const;
const isArmed = (record: ReturnType<Services['machines']['store']['get']>) => record?.life.phase === 'armed';

function verdictOf({ kept, tried }: Running): Verdict {
  return judge(kept.rollout, tried);
}

const KeptRollout = Type.Object({
  image: Type.String(),
  name: Type.String(),
  macs: Type.Array(Type.String()),
  waves: Type.Array(Type.Number()),
  wave: Type.Number(),
  allowed: Type.Number(),
  before: Type.Record(Type.String(), Type.Object({ since: Type.String() })),
  state: Type.String(),
});

/** Null where the row is damaged: the others go on. */
function keptOf(row: Readonly<Record<string, unknown>>): Kept | null {
  const rollout = valueIn(row.state);
  if (!Check(KeptRollout, rollout)) return null;
  return {
    id: Number(row.id),
    rollout: rollout as unknown as Rollout,
    begunAt: Number(row.begun_at),
    begunBy: String(row.begun_by),
    endedAt: row.ended_at === null ? null : Number(row.ended_at),
  };
}

/** What was kept of its end: the machines have gone on since. */
function endedRow(kept: Kept): RolloutRow {
  const { ended } = kept.rollout as Rollout & { readonly ended?: RolloutRow };
  return ended ?? rowOf(kept, judge(kept.rollout, new Map()));
}

function rowOf({ id, rollout, begunAt, begunBy, endedAt }: Kept, verdict: Verdict): RolloutRow {
  const { tried, done, failed, left } = verdict;
  return {
    id,
    image_sha256: rollout.image,
    image_name: rollout.name,
    state: rollout.state,
    machines: rollout.macs.length,
    waves: [...rollout.waves],
    wave: rollout.wave,
    allowed: rollout.allowed,
    ...{ tried, done, failed, left },
    begun_at: wireTime(begunAt),
    begun_by: begunBy,
    ended_at: endedAt === null ? null : wireTime(endedAt),
  };
}
