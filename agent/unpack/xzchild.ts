/** Unpacks xz with xz(1), which uses all processors for images of several blocks (since XZ Utils 5.4). */

import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { type Failure, failure } from '../../shared/failure.ts';
import { closeEnd, makePipe } from '../system/native.ts';
import { emit, type SlotWriter, type Unpacker } from './unpacker.ts';

/** A stream may ask for a dictionary of 4 GiB; xz -9 needs 65 MiB, or about 260 MiB for each thread. */
const memoryLimit = '1GiB';
const complaintBytes = 4096;
/** Bytes that a pipe holds: with more, this thread and xz(1) wait less for one another. */
const pipeBytes = [4 << 20, 1 << 20] as const;
/** Fewer stored bytes are no stream header: xz(1) then speaks of another format. */
const magicBytes = 6;

/** The footer of a stream, and less than a header of the next one (sections 2.1.1 and 2.1.2 of the format). */
const tailBytes = 32;
const magic = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] as const;
const footer = [0x59, 0x5a] as const;

/** True when what stands behind the last footer is too short for a stream and does not begin as one. */
function isFollowed(tail: Uint8Array): boolean {
  for (let at = tail.length - 2; at >= 0; at--) {
    if (tail[at] !== footer[0] || tail[at + 1] !== footer[1]) continue;
    const rest = tail.subarray(at + 2);
    return (
      rest.length < 12 &&
      rest.some((byte) => byte !== 0) &&
      rest.some((byte, place) => byte !== (magic[place] ?? byte))
    );
  }
  return false;
}

/** A pipe that an unpacker reads itself; null where only those of `spawn` are to be had. */
export type PipeMaker = () => { readonly read: number; readonly write: number } | null;

/** Needs the tool at the absolute path `tool`; throws TOOL_FAILED when that itself fails. */
export function xzChild(tool: string, image: string, pipes: PipeMaker = nativePipe): Unpacker {
  return new XzUnpacker(tool, image, pipes);
}

/**
 * `spawn` makes socket pairs and reads them into a new buffer each time. A pipe that is read straight into the ring
 * takes half of the processor time, which xz(1) needs itself.
 */
function nativePipe(): ReturnType<PipeMaker> {
  if (process.platform !== 'linux') return null;
  try {
    return makePipe(...pipeBytes);
  } catch {
    return null;
  }
}

class XzUnpacker implements Unpacker {
  readonly #tool: string;
  readonly #image: string;
  readonly #pipes: PipeMaker;
  #child: XzChild | undefined;
  #stored = 0;
  #tail: Uint8Array = new Uint8Array(0);

  constructor(tool: string, image: string, pipes: PipeMaker) {
    this.#tool = tool;
    this.#image = image;
    this.#pipes = pipes;
  }

  async push(input: Uint8Array, out: SlotWriter): Promise<void> {
    this.#child ??= new XzChild(this.#tool, out, this.#pipes);
    this.#stored += input.length;
    this.#tail = Buffer.concat([this.#tail, input.subarray(-tailBytes)]).subarray(-tailBytes);
    if (!(await this.#child.write(input))) await this.#end(this.#child);
  }

  async finish(out: SlotWriter): Promise<void> {
    this.#child ??= new XzChild(this.#tool, out, this.#pipes);
    this.#child.endInput();
    await this.#end(this.#child);
  }

  async close(): Promise<void> {
    this.#child?.stop();
    await this.#child?.ended;
  }

  async #end(child: XzChild): Promise<void> {
    const ending = await child.ended;
    if (child.thrown) throw child.thrown.error;
    const problem = this.#failureOf(ending);
    if (problem) throw problem;
  }

  #failureOf({ code, signal, error, complaint }: Ending): Failure | null {
    if (code === 0) return null;
    const image = this.#image;
    const format = 'xz';
    const failed = (problem: string) =>
      failure('TOOL_FAILED', { tool: this.#tool, purpose: `unpack ${image}`, problem }, error);
    const unsupported = (feature: string) => failure('IMAGE_UNSUPPORTED', { image, format, feature });

    if (error) return failed(error.message);
    // xz(1), EXIT STATUS: 2 is a warning, for example about a check that cannot be verified.
    if (code === 2) return unsupported('a check that xz cannot verify');
    const lines = complaint.split('\n').filter((line) => line.trim() !== '');
    const mark = '(stdin): ';
    const about = lines.findLast((line) => line.includes(mark));
    if (code !== 1 || about === undefined) {
      return failed(
        lines.at(-1)?.slice(0, 300) ?? `it ended with ${signal === null ? `status ${code}` : signal}`,
      );
    }
    const problem = about.slice(about.indexOf(mark) + mark.length, 300);
    if (isFollowed(this.#tail)) {
      return failure('IMAGE_CORRUPT', { image, format, problem: 'other data follows its end' });
    }
    if (problem.startsWith('Unexpected end of input') || this.#stored < magicBytes) {
      return failure('IMAGE_TRUNCATED', { image, format, offset: this.#stored });
    }
    if (problem.startsWith('Memory usage limit')) {
      return unsupported(`a dictionary that takes more than ${memoryLimit} of memory`);
    }
    if (problem.startsWith('Unsupported')) return unsupported('filters or options that xz does not know');
    if (/^(Cannot allocate memory|Internal error)/.test(problem)) return failed(problem);
    return failure('IMAGE_CORRUPT', { image, format, problem });
  }
}

interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why the child could not be started at all. */
  readonly error?: Error;
  /** The end of what it printed about itself. */
  readonly complaint: string;
}

/**
 * The child with its pipes. Its output is read as it comes, between pushes too, into the writer of the first push;
 * `space` blocks the thread while the ring is full.
 */
class XzChild {
  /** Resolves when the child is gone and all it printed was read. */
  readonly ended: Promise<Ending>;
  /** What the slot writer threw; the child is stopped then. */
  thrown: { readonly error: unknown } | undefined;
  readonly #child: ChildProcess;
  readonly #input: Writable | null;
  readonly #output: Readable | null;
  #complaint = '';
  /** A child that is gone is not killed: its number may belong to another. */
  #gone = false;

  constructor(tool: string, out: SlotWriter, pipes: PipeMaker) {
    const input = pipes();
    const output = pipes();
    try {
      this.#child = start(tool, input?.read ?? 'pipe', output?.write ?? 'pipe');
    } catch (error) {
      if (input) closeEnd(input.write);
      if (output) closeEnd(output.read);
      throw error;
    } finally {
      if (input) closeEnd(input.read);
      if (output) closeEnd(output.write);
    }
    this.#input = input
      ? new Socket({ fd: input.write, readable: false, writable: true })
      : this.#child.stdin;
    this.#output = output ? this.#readInto(out, output.read) : this.#child.stdout;
    if (!output) this.#output?.on('data', (bytes: Buffer) => this.#guard(() => emit(bytes, out)));
    this.#child.stderr?.on('data', (bytes: Buffer) => {
      this.#complaint = (this.#complaint + bytes.toString('latin1')).slice(-complaintBytes);
    });
    // What is wrong with the pipes shows in how the child ends.
    for (const stream of this.#streams()) stream.on('error', () => {});
    this.ended = this.#end();
  }

  /** False when the child takes no more input, or the slot writer threw. */
  async write(input: Uint8Array): Promise<boolean> {
    const stdin = this.#input;
    if (!stdin || this.thrown) return false;
    const error = await new Promise((resolve) => stdin.write(input, resolve));
    return !error && !this.thrown;
  }

  endInput(): void {
    this.#input?.end();
  }

  stop(): void {
    for (const stream of this.#streams()) stream.destroy();
    if (!this.#gone) this.#child.kill('SIGKILL');
  }

  async #end(): Promise<Ending> {
    const closed = new Promise<Omit<Ending, 'complaint'>>((resolve) => {
      this.#child.once('error', (error) => resolve({ code: null, signal: null, error }));
      this.#child.once('close', (code, signal) => resolve({ code, signal }));
      this.#child.once('exit', () => {
        this.#gone = true;
      });
    });
    const read = new Promise((resolve) => this.#output?.once('close', resolve) ?? resolve(null));
    const ending = await closed;
    await read;
    return { ...ending, complaint: this.#complaint };
  }

  #streams(): (Readable | Writable)[] {
    return [this.#input, this.#child.stderr, this.#output].filter(
      (stream) => stream !== null && stream !== undefined,
    );
  }

  #readInto(out: SlotWriter, descriptor: number): Readable {
    const nowhere = new Uint8Array(1 << 12);
    const socket = new Socket({
      fd: descriptor,
      readable: true,
      writable: false,
      onread: {
        buffer: () => this.#guard(() => out.space()) ?? nowhere,
        callback: (count) => {
          this.#guard(() => out.advance(count));
          return true;
        },
      },
    });
    return socket.resume();
  }

  #guard<Result>(act: () => Result): Result | undefined {
    if (this.thrown) return undefined;
    try {
      return act();
    } catch (error) {
      this.thrown = { error };
      // Not from inside a read of the pipe that this closes.
      process.nextTick(() => this.stop());
      return undefined;
    }
  }
}

function start(tool: string, input: number | 'pipe', output: number | 'pipe'): ChildProcess {
  const options = ['--threads=0', `--memlimit-decompress=${memoryLimit}`];
  return spawn(tool, ['--decompress', '--stdout', '--format=xz', '--quiet', ...options], {
    stdio: [input, output, 'pipe'],
    env: { LC_ALL: 'C', PATH: process.env.PATH ?? '/usr/bin:/bin' },
    // A session of its own: Ctrl+C on the terminal is for bty, which then ends the child.
    detached: process.platform !== 'win32',
    windowsHide: true,
  });
}
