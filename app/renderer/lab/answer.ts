/** Answers of the appliance that pages show: asked once, shared, and asked again when news say that they are old. */
import { useEffect, useSyncExternalStore } from 'react';
import { Refusal } from './api.ts';
import { listen, type NewsKind } from './live.ts';
import { useLab } from './store.ts';

export interface Answer<Value> {
  /** The last one that came, undefined until then. */
  readonly value: Value | undefined;
  /** Why the last question was refused; null when it was not. */
  readonly refusal: Refusal | null;
  readonly again: () => void;
}

class Kept<Value> {
  readonly #load: () => Promise<Value>;
  readonly #listeners = new Set<() => void>();
  #answer: Answer<Value> = { value: undefined, refusal: null, again: () => this.ask() };
  #asking = false;
  #due = false;
  /** Counts what was put in the place of the answer while a question ran. */
  #puts = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(load: () => Promise<Value>) {
    this.#load = load;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
  get isSeen(): boolean {
    return this.#listeners.size > 0;
  }
  readonly current = (): Answer<Value> => this.#answer;

  /** News that come together are one question. */
  soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.ask();
    }, 300);
  }

  ask(): void {
    if (this.#asking) {
      this.#due = true;
      return;
    }
    this.#asking = true;
    const puts = this.#puts;
    this.#load()
      .then(
        (value) => {
          // News that came meanwhile may be newer than the answer.
          if (puts === this.#puts) this.#tell({ value, refusal: null });
          else this.#due = true;
        },
        (error: unknown) => {
          if (!(error instanceof Refusal)) throw error;
          this.#tell({ refusal: error });
        },
      )
      .finally(() => {
        this.#asking = false;
        if (!this.#due) return;
        this.#due = false;
        this.soon();
      });
  }

  put(value: Value): void {
    this.#puts++;
    this.#tell({ value, refusal: null });
  }

  #tell(changes: Partial<Answer<Value>>): void {
    this.#answer = { ...this.#answer, ...changes };
    for (const listener of this.#listeners) listener();
  }
}

const kept = new Map<string, Kept<unknown>>();
/** Answers that nobody looks at any more are forgotten, oldest first, beyond so many. */
const mostKept = 50;

function keptFor<Value>(key: string, load: () => Promise<Value>): Kept<Value> {
  const found = kept.get(key) as Kept<Value> | undefined;
  if (found) return found;
  const made = new Kept(load);
  for (const [name, one] of kept) {
    if (kept.size < mostKept) break;
    if (!one.isSeen) kept.delete(name);
  }
  kept.set(key, made as unknown as Kept<unknown>);
  return made;
}

/** The answer named `key`, got by `load`, and asked for again on any news of `kinds`. */
export function useAnswer<Value>(
  key: string,
  load: () => Promise<Value>,
  kinds: readonly NewsKind[] = [],
): Answer<Value> {
  const one = keptFor(key, load);
  const answer = useSyncExternalStore(one.subscribe, one.current);
  const watched = kinds.join(' ');
  useEffect(() => {
    one.ask();
    const names = [...watched.split(' ').filter((name) => name !== ''), 'again'] as NewsKind[];
    const ends = names.map((name) => listen(name, () => one.soon()));
    return () => {
      for (const end of ends) end();
    };
  }, [one, watched]);
  return answer;
}

/** Puts `value` in the place of the answer named `key`, if it is shown. */
export function putAnswer<Value>(key: string, value: Value): void {
  kept.get(key)?.put(value);
}

/** Asks anew for every answer whose name begins with `key`. */
export function askAgain(key: string): void {
  for (const [name, one] of kept) if (name.startsWith(key)) one.soon();
}

/** Runs `work`; what is refused is shown above the page. True when it was not. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    useLab.setState({ trouble: null });
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status !== 401) useLab.setState({ trouble: error });
    return false;
  }
}
