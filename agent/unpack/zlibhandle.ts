import { failure } from '../../shared/failure.ts';
import type { SlotWriter, Unpacker } from './unpacker.ts';
import { emit } from './unpacker.ts';

/**
 * Node's zlib and zstd streams keep a native handle whose `writeSync` unpacks from one buffer straight into
 * another. It is not documented, but the public streams copy and allocate for every chunk and cost 1.6 times
 * the time. So it is used behind a feature test, and the public stream serves where the test fails.
 */
interface Handle {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputLength: number,
    output: Uint8Array,
    outputOffset: number,
    outputLength: number,
  ): void;
  onerror: (message: string, errno: number, code: string) => void;
}

/** The parts of a zlib stream object that are used here; the underscored ones may be absent. */
export interface ZlibStream extends NodeJS.ReadWriteStream {
  close(callback?: () => void): void;
  readonly _handle?: Partial<Handle> | null;
  /** After a call: [room left in the output, bytes left in the input]. */
  readonly _writeState?: Uint32Array;
}

export interface ZlibFormat {
  readonly image: string;
  readonly format: string;
  /** Flush values of the library: none, and end of input. */
  readonly flush: { readonly none: number; readonly finish: number };
}

/** True when `stream` carries the handle that `handleUnpacker` needs. */
export function hasHandle(stream: ZlibStream): boolean {
  return typeof stream._handle?.writeSync === 'function' && stream._writeState instanceof Uint32Array;
}

const nothing = new Uint8Array(0);

/** Unpacks with `stream`: through its handle where it has one, as a public stream otherwise. */
export function zlibUnpacker(stream: ZlibStream, format: ZlibFormat): Unpacker {
  return hasHandle(stream) ? handleUnpacker(stream, format) : streamUnpacker(stream, format);
}

function handleUnpacker(stream: ZlibStream, { image, format, flush }: ZlibFormat): Unpacker {
  const handle = stream._handle as Handle;
  const state = stream._writeState as Uint32Array;
  let problem: { message: string; code: string } | undefined;
  handle.onerror = (message, _errno, code) => {
    problem = { message, code };
  };
  let consumed = 0;
  let produced = 0;
  let padding = false;

  function step(mode: number, input: Uint8Array, from: number, out: SlotWriter): number {
    const space = out.space();
    handle.writeSync(mode, input, from, input.length - from, space, 0, space.length);
    if (problem) throw zlibFailure(image, format, problem, consumed + from);
    const filled = space.length - (state[0] ?? 0);
    if (filled > 0) out.advance(filled);
    produced += filled;
    return filled;
  }

  return {
    push(input, out) {
      let from = 0;
      while (from < input.length && !padding) {
        const filled = step(flush.none, input, from, out);
        const left = state[1] ?? 0;
        const taken = input.length - from - left;
        from = input.length - left;
        // A finished gzip stream leaves zero padding untouched.
        if (taken === 0 && filled === 0) padding = true;
      }
      if (padding && !input.subarray(from).every((byte) => byte === 0)) {
        throw failure('IMAGE_CORRUPT', {
          image,
          format,
          problem: 'other data follows its end',
          offset: consumed + from,
        });
      }
      consumed += input.length;
    },
    finish(out) {
      if (padding) return;
      // The library may still hold output that did not fit before.
      while (step(flush.finish, nothing, 0, out) > 0);
      if (produced === 0 && consumed === 0) throw failure('IMAGE_TRUNCATED', { image, format });
    },
    close: () => stream.close(),
  };
}

function streamUnpacker(stream: ZlibStream, { image, format }: ZlibFormat): Unpacker {
  let writer: SlotWriter | undefined;
  let problem: Error | undefined;
  let consumed = 0;
  let wake = () => {};
  stream.on('data', (bytes: Buffer) => writer && emit(bytes, writer));
  stream.on('error', (error) => {
    problem = error;
    wake();
  });
  const settled = (act: (done: () => void) => void) =>
    new Promise<void>((resolve, reject) => {
      wake = () => {
        if (!problem) return resolve();
        const { message } = problem;
        const code = (problem as NodeJS.ErrnoException).code ?? '';
        reject(zlibFailure(image, format, { message, code }, consumed));
      };
      act(wake);
    });
  return {
    async push(input, out) {
      writer = out;
      // The stream reads its input after `push` has returned the buffer, so it gets a copy.
      await settled((done) => void stream.write(Buffer.from(input), done));
      consumed += input.length;
    },
    async finish(out) {
      writer = out;
      await settled((done) => {
        stream.once('end', done);
        stream.end();
      });
    },
    close: () => stream.close(),
  };
}

function zlibFailure(
  image: string,
  format: string,
  problem: { message: string; code: string },
  offset: number,
) {
  if (problem.code === 'Z_BUF_ERROR') return failure('IMAGE_TRUNCATED', { image, format, offset });
  if (problem.code === 'ZSTD_error_frameParameter_windowTooLarge') {
    return failure('IMAGE_UNSUPPORTED', {
      image,
      format,
      feature: 'a window of more than 128 MiB (zstd --long)',
    });
  }
  // An image is taken for gzip by its first member's header, so this is what stands where another one might.
  const behind = format === 'gz' && problem.message === 'incorrect header check';
  const told = behind ? 'other data follows its end' : problem.message;
  return failure('IMAGE_CORRUPT', { image, format, problem: told, ...(offset > 0 && { offset }) });
}
