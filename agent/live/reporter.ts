/** Tells the appliance where a flash is: at most once a second, and as a heartbeat when nothing moves. */
import type { Progress, Step } from '../../shared/contract/agent.ts';
import { asFailure, type Failure } from '../../shared/failure.ts';
import { orAborted } from '../source/abort.ts';
import type { Appliance } from './appliance.ts';

export interface ReporterOptions {
  readonly appliance: Appliance;
  readonly path: string;
  readonly plan: string;
  readonly attempt: number;
  readonly heartbeatSeconds: number;
  /** Milliseconds between two messages at least. */
  readonly every?: number;
  /** The appliance has refused to hear more: the plan was withdrawn, or the token is spent. */
  readonly onRefusal: (found: Failure) => void;
}

type State = Pick<Progress, 'step' | 'bytes' | 'total' | 'rate' | 'disk'>;

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #ended = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #state: State = { step: 'preparing', bytes: 0, total: null, rate: null, disk: null };
  #changed = true;
  #sending: Promise<void> | null = null;
  #lastSent = Number.NEGATIVE_INFINITY;
  #lastStep: Step | null = null;
  #hearing = Promise.withResolvers<void>();

  constructor(options: ReporterOptions) {
    this.#options = options;
    const every = options.every ?? 1000;
    this.#timer = setInterval(() => this.#tick(), every);
    this.#tick();
  }

  /** The newest state replaces the one before, sent or not. */
  tell(state: State): void {
    this.#state = state;
    this.#changed = true;
  }

  /**
   * Resolves when the appliance has taken a message within the last `milliseconds`: so lately the plan was still the one.
   * Rejects with the signal's reason.
   */
  async heard(milliseconds: number, signal: AbortSignal): Promise<void> {
    while (performance.now() - this.#lastSent > milliseconds) {
      this.#changed = true;
      await orAborted(this.#hearing.promise, signal);
    }
    signal.throwIfAborted();
  }

  /** Ends the messages; resolves when none is on its way, so that none can arrive after the final status. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#ended.abort();
    await this.#sending;
  }

  #tick(): void {
    const { heartbeatSeconds, appliance, path, plan, attempt, onRefusal } = this.#options;
    const silence = performance.now() - this.#lastSent;
    const isNewStep = this.#state.step !== this.#lastStep;
    if (this.#sending || !(this.#changed || isNewStep || silence >= heartbeatSeconds * 1000)) return;
    const { bytes, total, rate, ...rest } = this.#state;
    const message: Progress = {
      plan,
      attempt,
      ...rest,
      bytes: Math.max(0, Math.round(bytes)),
      total: total === null ? null : Math.round(total),
      rate: rate === null ? null : Math.max(0, Math.round(rate)),
    };
    this.#changed = false;
    this.#sending = appliance
      .tell(path, message, this.#ended.signal)
      .then(
        (heard) => {
          if (!heard) return;
          this.#lastSent = performance.now();
          this.#lastStep = message.step;
          this.#hearing.resolve();
          this.#hearing = Promise.withResolvers();
        },
        (error: unknown) => {
          if (!this.#ended.signal.aborted) onRefusal(asFailure(error));
        },
      )
      .finally(() => {
        this.#sending = null;
      });
  }
}
