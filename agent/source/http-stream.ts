import { failure } from '../../shared/failure.ts';
import { orAborted, pause } from './abort.ts';
import { headBytes } from './head.ts';
import { ConnectionLost, ExcessBytes } from './http-body.ts';
import type { Origin, Part } from './http-origin.ts';
import type { SourceStream } from './source.ts';

type OpenPart = Extract<Part, { kind: 'part' }>;

export interface Stretch {
  readonly start: number;
  /** Exclusive; null for the rest of the image. */
  readonly end: number | null;
}

/**
 * Reads a stretch of an image on a server in order. After a lost connection it goes on at the exact byte, and
 * fails where that cannot be done: a byte is delivered once and belongs to the version that was begun with.
 */
export class HttpStream implements SourceStream {
  readonly #origin: Origin;
  readonly #stretch: Stretch;
  readonly #signal: AbortSignal;
  readonly #stop: () => void;
  #position: number;
  #part: OpenPart | null;
  #ended = false;
  /** Failed attempts since the last byte came, and the last of them. */
  #failures = 0;
  #loss: ConnectionLost | null = null;
  /** A body of unknown length came to an end that only a look past it can prove. */
  #lookingPastEnd = false;
  /** The first bytes, kept to recognise them when a server without Range support starts over. */
  #prefix = new Uint8Array(0);

  /** `first` is a part that was asked for already; the stream owns it. Aborting `signal` ends the stream. */
  constructor(origin: Origin, stretch: Stretch, signal: AbortSignal, first: OpenPart | null = null) {
    this.#origin = origin;
    this.#stretch = stretch;
    this.#signal = signal;
    this.#position = stretch.start;
    this.#part = first;
    this.#stop = () => this.#part?.body.discard();
    signal.addEventListener('abort', this.#stop, { once: true });
  }

  read(into: Uint8Array): Promise<number> {
    return orAborted(this.#read(into), this.#signal);
  }

  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#stop);
    this.#part?.body.discard();
    this.#part = null;
    this.#ended = true;
  }

  async #read(into: Uint8Array): Promise<number> {
    for (;;) {
      this.#signal.throwIfAborted();
      if (this.#ended || into.length === 0) return 0;
      const end = this.#stretch.end ?? this.#origin.size;
      if (end !== null && this.#position >= end) return this.#finish(end);
      this.#part ??= await this.#connect();
      if (this.#part === null) {
        this.#ended = true;
        return 0;
      }
      const count = await this.#readPart(this.#part, into);
      if (count > 0) {
        this.#advance(into.subarray(0, count));
        return count;
      }
    }
  }

  /** Reads from `part`, and puts it away when it is used up or broken; 0 then. */
  async #readPart(part: OpenPart, into: Uint8Array): Promise<number> {
    const room = part.end === null ? into.length : Math.min(into.length, part.end - this.#position);
    try {
      const count = room === 0 ? 0 : await part.body.read(into.subarray(0, room));
      if (count > 0) return count;
    } catch (error) {
      this.#signal.throwIfAborted();
      this.#part = null;
      part.body.discard();
      if (error instanceof ExcessBytes) throw this.#excess(error.count);
      if (!(error instanceof ConnectionLost)) throw error;
      this.#lost(error);
      return 0;
    }
    this.#part = null;
    if (part.end === null) {
      // Who has nothing at the first byte has nothing past it either.
      if (part.framing === 'chunked' || this.#lookingPastEnd) this.#ended = true;
      else this.#lookingPastEnd = true;
    } else if (this.#position < part.end) {
      part.body.discard();
      this.#lost(new ConnectionLost('the reply ended early'));
    } else await this.#nothingMore(part);
    return 0;
  }

  #advance(bytes: Uint8Array): void {
    if (!this.#origin.ranges && this.#position < headBytes) {
      const kept = bytes.subarray(0, headBytes - this.#position);
      const prefix = new Uint8Array(this.#prefix.length + kept.length);
      prefix.set(this.#prefix);
      prefix.set(kept, this.#prefix.length);
      this.#prefix = prefix;
    }
    this.#position += bytes.length;
    this.#failures = 0;
    this.#lookingPastEnd = false;
  }

  async #finish(end: number): Promise<number> {
    const part = this.#part;
    this.#part = null;
    this.#ended = true;
    if (part && end === part.end) await this.#nothingMore(part);
    part?.body.discard();
    return 0;
  }

  /** A chunked body can hold more than its Content-Range says; trouble past the last byte is no trouble. */
  async #nothingMore(part: OpenPart): Promise<void> {
    let count = 0;
    try {
      count = await part.body.read(new Uint8Array(1));
    } catch (error) {
      this.#signal.throwIfAborted();
      part.body.discard();
      if (error instanceof ExcessBytes) count = error.count;
    }
    if (count > 0) throw this.#excess(count);
  }

  #excess(count: number): Error {
    const expected = this.#stretch.end ?? this.#origin.size ?? this.#position;
    return this.#origin.lengthFailure(expected, expected + count);
  }

  #lost(error: ConnectionLost): void {
    const origin = this.#origin;
    this.#loss = error;
    this.#failures++;
    if (this.#failures > origin.patience.attempts) throw this.#dropped(error.message);
    if (this.#failures === 1) {
      origin.notice(`Connection lost at byte ${this.#position} (${error.message}); resuming.`);
    }
  }

  #dropped(problem: string): Error {
    const details = { url: this.#origin.shown, offset: this.#position, problem };
    return failure('SOURCE_DROPPED', details, this.#loss ?? undefined);
  }

  /** Asks for the rest until it is answered; null when the image ends here. */
  async #connect(): Promise<OpenPart | null> {
    const { patience } = this.#origin;
    let asked: number | null = null;
    for (;;) {
      if (this.#failures > 0) {
        const wait = Math.max(patience.backOffMilliseconds(this.#failures), asked ?? 0);
        await pause(Math.min(wait, patience.longestWaitMilliseconds), this.#signal);
      }
      try {
        const part = await this.#origin.part(this.#position, this.#stretch.end, this.#signal);
        if (part.kind === 'nothing') return null;
        if (part.start === this.#position) return part;
        return await this.#startedOver(part);
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!(error instanceof ConnectionLost)) throw error;
        asked = error.retryAfter;
        this.#lost(error);
      }
    }
  }

  /** The server sends the whole image again: goes on only if it is proven to repeat what was read. */
  async #startedOver(part: OpenPart): Promise<OpenPart | null> {
    const seen = this.#prefix;
    if (this.#position > seen.length || this.#lookingPastEnd) {
      part.body.discard();
      return this.#endedWithoutRange();
    }
    const again = new Uint8Array(16 * 1024);
    for (let done = 0; done < this.#position; ) {
      const room = again.subarray(0, Math.min(again.length, this.#position - done));
      let count: number;
      try {
        count = await part.body.read(room);
      } catch (error) {
        part.body.discard();
        throw error;
      }
      if (count === 0 || Buffer.compare(room.subarray(0, count), seen.subarray(done, done + count)) !== 0) {
        part.body.discard();
        throw this.#origin.changed(done);
      }
      done += count;
    }
    return part;
  }
  /** The server cannot send the rest alone: null when there is none, as far as anyone can tell. */
  #endedWithoutRange(): null {
    const { size, notice } = this.#origin;
    if (this.#lookingPastEnd) {
      if (size === null)
        notice('The server does not tell the length of the image; a cut would go unnoticed.');
      if (size === null || size === this.#position) return null;
    }
    if (size !== null && this.#lookingPastEnd) {
      throw this.#origin.lengthFailure(size, this.#position);
    }
    throw this.#dropped(`${this.#loss?.message ?? 'it ended'}, and the server has no Range support`);
  }
}
