/** Unpacks xz where no xz(1) is: with a WebAssembly build of XZ Embedded, in one thread. */

import type { ReadableStreamDefaultController, ReadableStreamDefaultReader } from 'node:stream/web';
import { ReadableStream } from 'node:stream/web';
import xz from 'xz-decompress';
import { asFailure, failure } from '../../shared/failure.ts';
import { emit, type SlotWriter, type Unpacker } from './unpacker.ts';

/** Results of XZ Embedded (`enum xz_ret` in its xz.h), which the package puts into its message. */
const memoryError = 3;
const tooLarge = 4;
const formatError = 5;
const optionsError = 6;
const dataError = 7;
const endsEarly = 8;

/** Throws TOOL_MISSING for what XZ Embedded does not read: other filters than LZMA2, SHA-256, 64 MiB and more. */
export function xzLibrary(image: string): Unpacker {
  return new XzLibrary(image);
}

class XzLibrary implements Unpacker {
  readonly #image: string;
  #decoder: Decoder | undefined;
  #stored = 0;

  constructor(image: string) {
    this.#image = image;
  }

  async push(input: Uint8Array, out: SlotWriter): Promise<void> {
    // To the package an empty chunk is the end of the input.
    if (input.length === 0) return;
    this.#decoder ??= new Decoder(out);
    this.#stored += input.length;
    await this.#reported(this.#decoder.write(input));
  }

  async finish(): Promise<void> {
    if (!this.#decoder) throw failure('IMAGE_TRUNCATED', { image: this.#image, format: 'xz', offset: 0 });
    await this.#reported(this.#decoder.end());
  }

  async close(): Promise<void> {
    await this.#decoder?.stop();
  }

  async #reported(step: Promise<void>): Promise<void> {
    try {
      await step;
    } catch (error) {
      throw error instanceof DecodeError ? this.#failureOf(error) : error;
    }
  }

  #failureOf({ cause, message }: DecodeError): Error {
    const image = this.#image;
    const format = 'xz';
    const text = cause instanceof Error ? cause.message : '';
    const corrupt = (problem: string) => failure('IMAGE_CORRUPT', { image, format, problem }, cause);
    const missing = (what: string) =>
      failure('TOOL_MISSING', { tool: 'xz', package: 'xz-utils', purpose: `unpack ${image} (${what})` });
    switch (Number(/error code (\d+)$/.exec(text)?.[1])) {
      case endsEarly:
        return failure('IMAGE_TRUNCATED', { image, format, offset: this.#stored }, cause);
      case formatError:
        return corrupt(
          this.#stored < 12 ? 'File format not recognized' : 'not xz, or other data follows its end',
        );
      case dataError:
        return corrupt('Compressed data is corrupt');
      case memoryError:
      case tooLarge:
        return missing('its dictionary is larger than 64 MiB');
      case optionsError:
        return missing('it uses a filter or a check of a rare kind');
      default:
        return cause === undefined ? corrupt(message) : asFailure(cause);
    }
  }
}

/** What the package threw, kept apart from what the slot writer throws. */
class DecodeError extends Error {}

/** Feeds the package's stream chunk by chunk. A second one in the same thread waits for `stop` of the first. */
class Decoder {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  /** Resolves when the image has ended; rejects with a DecodeError or what the slot writer threw. */
  readonly #pumped: Promise<void>;
  #input: ReadableStreamDefaultController<Uint8Array> | undefined;
  #hungry = Promise.withResolvers<void>();
  #ending = false;

  constructor(out: SlotWriter) {
    const source = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#input = controller;
        },
        pull: () => this.#hungry.resolve(),
      },
      { highWaterMark: 0 },
    );
    this.#reader = new xz.XzReadableStream(source).getReader();
    this.#pumped = this.#pump(out);
    this.#pumped.catch(() => {});
  }

  /** Resolves when all of `input` was consumed. */
  async write(input: Uint8Array): Promise<void> {
    await this.#hunger();
    this.#hungry = Promise.withResolvers();
    this.#input?.enqueue(input);
    await this.#hunger();
  }

  async end(): Promise<void> {
    await this.#hunger();
    this.#ending = true;
    this.#input?.close();
    await this.#pumped;
  }

  /** Hands back the decoder: the package lets only one work at a time. */
  async stop(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
    await this.#pumped.catch(() => {});
  }

  /** Waits until the package wants input, which it does when it has used up what it had. */
  async #hunger(): Promise<void> {
    await Promise.race([this.#hungry.promise, this.#pumped]);
  }

  async #pump(out: SlotWriter): Promise<void> {
    for (;;) {
      const { done, value } = await this.#reader.read().catch((cause: unknown) => {
        throw new DecodeError('xz', { cause });
      });
      if (done && !this.#ending) throw new DecodeError('it ended before its input');
      if (done) return;
      emit(value, out);
    }
  }
}
