/** What happens, told to those who listen now. What must not be lost is in the event log; this only says "look". */
import type { Life } from '../../shared/machine/life.ts';

/** How a machine is now. */
export interface MachineNow {
  readonly life: Life;
  readonly lastSeenIp: string | null;
}

/** News of one thing; `key` names the thing, so that a slow listener is told only its latest state. */
export type News =
  | { readonly kind: 'event'; readonly id: number }
  /** `now` is null when the machine was forgotten, or when something else of it changed. */
  | { readonly kind: 'machine'; readonly mac: string; readonly now: MachineNow | null }
  | { readonly kind: 'job'; readonly key: string; readonly job: unknown }
  | { readonly kind: 'images' }
  | { readonly kind: 'lease' | 'boot-step' | 'notice'; readonly key: string; readonly value: unknown };

export type Listener = (news: News) => void;

export class Hub {
  readonly #listeners = new Set<Listener>();

  /** Listens until the returned function is called. A listener must not throw and must not wait. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(news: News): void {
    for (const listener of this.#listeners) listener(news);
  }

  get listeners(): number {
    return this.#listeners.size;
  }
}
