/**
 * What one run wrote: `cijoe.stdout` and `cijoe.stderr` byte for byte, and `output.ndjson` with both and bty's own
 * words in their order. Bounded in memory and on the disk: of more than `most` bytes the start and the end are kept.
 */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { TaskOutput } from '../../shared/contract/task.ts';

export const outputName = 'output.ndjson';
/** Of what did not fit, so many bytes of the end are kept. */
const tailBytes = 64 * 1024;
/** Longest text of one piece, in bytes before decoding. */
const pieceBytes = 16 * 1024;

type Stream = 'stdout' | 'stderr';
interface Late {
  readonly stream: Stream;
  readonly step: number;
  readonly at: number;
  readonly bytes: Buffer;
}

export class RunOutput {
  readonly #files: Readonly<Record<Stream | 'all', FileHandle>>;
  readonly #most: number;
  readonly #clock: () => number;
  readonly #onGrow: () => void;
  #decoders = newDecoders();
  #kept = 0;
  #written = 0;
  #tail: Late[] = [];
  #tailSize = 0;
  /** One write after the other, so that the order holds. */
  #queue: Promise<unknown> = Promise.resolve();
  bytes = 0;
  dropped = 0;
  step = -1;

  /** Makes the files in `folder`. `clock`: milliseconds since 1970. */
  static async open(
    folder: string,
    options: { readonly most: number; readonly clock: () => number; readonly onGrow: () => void },
  ): Promise<RunOutput> {
    const make = (name: string) => open(join(folder, name), 'a', 0o600);
    await endLastLine(join(folder, outputName));
    const files = {
      stdout: await make('cijoe.stdout'),
      stderr: await make('cijoe.stderr'),
      all: await make(outputName),
    };
    return new RunOutput(files, options);
  }

  private constructor(
    files: Readonly<Record<Stream | 'all', FileHandle>>,
    options: { readonly most: number; readonly clock: () => number; readonly onGrow: () => void },
  ) {
    this.#files = files;
    this.#most = options.most;
    this.#clock = options.clock;
    this.#onGrow = options.onGrow;
  }

  /** Takes what the machine wrote; whoever awaits it cannot be faster than the disk. */
  take(stream: Stream, bytes: Buffer): Promise<void> {
    return this.#then(() => this.#take(stream, bytes));
  }

  /** Something that bty says of the run. */
  say(text: string): Promise<void> {
    return this.#then(async () => {
      for (let from = 0; from < text.length; from += pieceBytes) {
        const piece = text.slice(from, from + pieceBytes);
        await this.#append({ at: this.#at(), step: this.step, stream: 'bty', text: piece });
      }
    });
  }

  /** The step is over: what is left of half a letter is told. */
  endStep(): Promise<void> {
    return this.#then(() => this.#flushDecoders());
  }

  async close(): Promise<void> {
    await this.#then(async () => {
      await this.#flushDecoders();
      await this.#writeTail();
    });
    for (const file of Object.values(this.#files)) await file.close();
  }

  #then(work: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => {});
    return done;
  }

  async #take(stream: Stream, bytes: Buffer): Promise<void> {
    this.bytes += bytes.length;
    const room = Math.max(0, this.#most - this.#kept);
    const now = bytes.subarray(0, room);
    if (now.length > 0) await this.#keep(stream, now);
    if (now.length < bytes.length) this.#late(stream, bytes.subarray(now.length));
    this.#onGrow();
  }

  async #keep(stream: Stream, bytes: Buffer): Promise<void> {
    await this.#files[stream].appendFile(bytes);
    for (let from = 0; from < bytes.length; from += pieceBytes) {
      const text = this.#decoders[stream].decode(bytes.subarray(from, from + pieceBytes), { stream: true });
      if (text !== '') await this.#append({ at: this.#at(), step: this.step, stream, text });
    }
    // Lines of many small pieces cost more than what they carry.
    this.#kept = Math.max(this.#kept + bytes.length, Math.floor(this.#written / 4));
  }

  #late(stream: Stream, bytes: Buffer): void {
    this.dropped += bytes.length;
    const last = Buffer.from(bytes.subarray(Math.max(0, bytes.length - tailBytes)));
    this.#tail.push({ stream, step: this.step, at: this.#at(), bytes: last });
    this.#tailSize += last.length;
    while (this.#tailSize > tailBytes || this.#tail.length > 2000) {
      const [first] = this.#tail;
      if (first === undefined) return;
      const more = this.#tailSize - tailBytes;
      if (more >= first.bytes.length || this.#tail.length > 2000) this.#tail.shift();
      else this.#tail[0] = { ...first, bytes: first.bytes.subarray(more) };
      this.#tailSize -= Math.min(Math.max(more, 0), first.bytes.length);
      if (this.#tail.length > 2000)
        this.#tailSize = this.#tail.reduce((sum, { bytes: { length } }) => sum + length, 0);
    }
  }

  async #writeTail(): Promise<void> {
    if (this.dropped === 0) return;
    const kept = this.#tail.reduce((sum, { bytes: { length } }) => sum + length, 0);
    this.dropped -= kept;
    this.#decoders = newDecoders();
    const text = `[${this.dropped} bytes of output were left out here]\n`;
    await this.#append({ at: this.#at(), step: this.step, stream: 'bty', text });
    for (const { stream, step, at, bytes } of this.#tail) {
      await this.#files[stream].appendFile(bytes);
      for (let from = 0; from < bytes.length; from += pieceBytes) {
        const piece = this.#decoders[stream].decode(bytes.subarray(from, from + pieceBytes), {
          stream: true,
        });
        if (piece !== '') await this.#append({ at, step, stream, text: piece });
      }
    }
    this.#tail = [];
    await this.#flushDecoders();
  }

  async #flushDecoders(): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const) {
      const text = this.#decoders[stream].decode();
      if (text !== '') await this.#append({ at: this.#at(), step: this.step, stream, text });
    }
  }

  async #append(piece: TaskOutput): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(piece)}\n`);
    this.#written += line.length;
    await this.#files.all.appendFile(line);
    if (piece.stream === 'bty') this.#onGrow();
  }

  #at(): number {
    return this.#clock() / 1000;
  }
}

/** A run that goes on after a crash must not add to half a line. */
async function endLastLine(path: string): Promise<void> {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return;
  await using file = await open(path, 'r+');
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  if (buffer[0] !== 0x0a) await file.write('\n', size);
}

function newDecoders() {
  return { stdout: new TextDecoder('utf-8'), stderr: new TextDecoder('utf-8') } as const;
}

/** Whole lines of a run's output from byte `from` on, at most about `most` bytes, and where the next ones begin. */
export function readOutput(
  folder: string,
  from: number,
  most = 64 * 1024,
): { readonly lines: readonly { readonly text: string; readonly end: number }[]; readonly next: number } {
  const path = join(folder, outputName);
  if (!existsSync(path)) return { lines: [], next: from };
  const file = openSync(path, 'r');
  try {
    // One line is one piece; escaped it can be six times as long.
    let bytes = Buffer.alloc(Math.max(most, pieceBytes * 8));
    bytes = bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from));
    const lines: { text: string; end: number }[] = [];
    let start = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
      lines.push({ text: bytes.toString('utf8', start, end), end: from + end + 1 });
      start = end + 1;
      if (start >= most) break;
    }
    return { lines, next: from + start };
  } finally {
    closeSync(file);
  }
}

/** Bytes of a run's output. */
export function outputSize(folder: string): number {
  return statSync(join(folder, outputName), { throwIfNoEntry: false })?.size ?? 0;
}
