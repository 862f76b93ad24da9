/** Unpacks xz with xz(1), which uses all processors for images of several blocks (since XZ Utils 5.4). */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { type Failure, failure } from '../../shared/failure.ts';
import { emit, type SlotWriter, type Unpacker } from './unpacker.ts';

/** A stream may ask for 4 GiB; xz -9 needs 65 MiB, or about 260 MiB a thread. */
const memoryLimit = '1GiB';
const purpose = 'unpack an image';
const complaintBytes = 4096;
/** Shorter than the magic bytes of a stream header: xz(1) calls this another format. */
const shortestHeader = 6;

interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why the child could not be started at all. */
  readonly error?: Error;
}

/** Throws TOOL_FAILED when `tool` itself fails. */
export function xzChild(tool: string, image: string): Unpacker {
  return new XzChild(tool, image);
}

class XzChild implements Unpacker {
  readonly #tool: string;
  readonly #image: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  /** Resolves when the child is gone and all it printed was read. */
  readonly #ended: Promise<Ending>;
  #out: SlotWriter | undefined;
  #stored = 0;
  #complaint = '';
  #thrown: { readonly error: unknown } | undefined;
  /** Set once `close` may no longer kill the child, because its number may belong to another. */
  #gone = false;

  constructor(tool: string, image: string) {
    this.#tool = tool;
    this.#image = image;
    const limits = ['--threads=0', `--memlimit-decompress=${memoryLimit}`];
    // A session of its own: Ctrl+C on the terminal is for bty, which then ends the child.
    const child = spawn(tool, ['--decompress', '--stdout', '--format=xz', '--quiet', ...limits], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { LC_ALL: 'C', PATH: process.env.PATH ?? '/usr/bin:/bin' },
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => resolve({ code: null, signal: null, error }));
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
    child.once('exit', () => {
      this.#gone = true;
    });
    // What is wrong with the pipes shows in how the child ends.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => {});
    child.stdout.on('data', (bytes: Buffer) => this.#receive(bytes));
    child.stderr.on('data', (bytes: Buffer) => {
      this.#complaint = (this.#complaint + bytes.toString('latin1')).slice(-complaintBytes);
    });
  }

  async push(input: Uint8Array, out: SlotWriter): Promise<void> {
    this.#out = out;
    this.#stored += input.length;
    const refused = await new Promise<boolean>((resolve) => {
      this.#child.stdin.write(input, (error) => resolve(error != null));
    });
    if (this.#thrown) throw this.#thrown.error;
    if (refused) await this.#end();
  }

  async finish(out: SlotWriter): Promise<void> {
    this.#out = out;
    this.#child.stdin.end();
    await this.#end();
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#ended;
  }

  /** Blocks in `space` while the ring is full; nothing more is read from the child meanwhile. */
  #receive(bytes: Buffer): void {
    if (this.#thrown || !this.#out) return;
    try {
      emit(bytes, this.#out);
    } catch (error) {
      this.#thrown = { error };
      this.#stop();
    }
  }

  #stop(): void {
    const { stdin, stdout, stderr } = this.#child;
    for (const stream of [stdin, stdout, stderr]) stream.destroy();
    if (!this.#gone) this.#child.kill('SIGKILL');
  }

  async #end(): Promise<void> {
    const ending = await this.#ended;
    if (this.#thrown) throw this.#thrown.error;
    const problem = this.#failureOf(ending);
    if (problem) throw problem;
  }

  #failureOf({ code, signal, error }: Ending): Failure | null {
    const image = this.#image;
    const format = 'xz';
    if (code === 0) return null;
    const lines = this.#complaint.split('\n').filter((line) => line.trim() !== '');
    const ended = signal === null ? `it ended with status ${code}` : `it was killed by ${signal}`;
    const failed = (text: string) =>
      failure('TOOL_FAILED', { tool: this.#tool, purpose, problem: text }, error);
    if (error) return failed(error.message);
    const about = lines.findLast((line) => line.includes('(stdin): '));
    // xz(1), EXIT STATUS: 2 is a warning, for example about a check that cannot be verified.
    if (code === 2) {
      return failure('IMAGE_UNSUPPORTED', { image, format, feature: 'a check that xz cannot verify' });
    }
    if (code !== 1 || about === undefined) return failed(lines.at(-1)?.slice(0, 300) ?? ended);
    const problem = about.slice(about.indexOf('(stdin): ') + '(stdin): '.length);
    if (problem.startsWith('Unexpected end of input') || this.#stored < shortestHeader) {
      return failure('IMAGE_TRUNCATED', { image, format, offset: this.#stored });
    }
    if (problem.startsWith('Memory usage limit')) {
      const feature = `a dictionary that needs more than ${memoryLimit.replace('GiB', ' GiB')} of memory`;
      return failure('IMAGE_UNSUPPORTED', { image, format, feature });
    }
    if (problem.startsWith('Unsupported')) {
      return failure('IMAGE_UNSUPPORTED', {
        image,
        format,
        feature: 'filters or options that xz does not know',
      });
    }
    if (/^(Cannot allocate memory|Internal error)/.test(problem)) return failed(problem);
    return failure('IMAGE_CORRUPT', { image, format, problem: problem.slice(0, 300) });
  }
}
