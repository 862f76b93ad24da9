/** Which news are told: the same once in a minute, and few of one kind, however many machines somebody pretends. */
import type { News } from './post.ts';

/** Milliseconds. */
const quiet = 60_000;
const mostOfKind = 30;
const mostKept = 1024;

export class Told {
  readonly #told = new Map<string, number>();
  readonly #kinds = new Map<string, { since: number; count: number }>();

  /** What of `news` is told at `now` (milliseconds): itself, that others of its kind are kept back, or nothing. */
  of(news: News, now: number): News | null {
    const key = `${news.interface} ${news.kind} ${news.mac ?? news.text}`;
    const before = this.#told.get(key);
    if (before !== undefined && isWithin(now - before)) return null;
    this.#told.delete(key);
    this.#told.set(key, now);
    if (this.#told.size > mostKept) this.#told.delete(this.#told.keys().next().value ?? '');
    const count = this.#count(`${news.interface} ${news.kind}`, now);
    if (count <= mostOfKind) return news;
    if (count > mostOfKind + 1) return null;
    return { ...news, mac: null, text: `${news.text} (there are more, which are not told for a minute)` };
  }

  #count(kind: string, now: number): number {
    const found = this.#kinds.get(kind);
    if (found !== undefined && isWithin(now - found.since)) return ++found.count;
    this.#kinds.set(kind, { since: now, count: 1 });
    return 1;
  }
}

/** A clock that was set back ends the quiet too. */
const isWithin = (elapsed: number) => elapsed >= 0 && elapsed < quiet;
