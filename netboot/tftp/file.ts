/** A file as a transfer reads it. */
import { type FileHandle, open } from 'node:fs/promises';
import { readCached } from '../system/cached.ts';

export interface TftpFile {
  readonly size: number;
  /**
   * Bytes from `offset` on: `length` of them, fewer at the end. At once where they are in memory; what is returned
   * is not changed until the next call.
   */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
  close(): void;
}

export function fileOfBytes(bytes: Uint8Array): TftpFile {
  return {
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
    close() {},
  };
}

/** Bytes that are read at once: of what lies in memory, which takes no wait, and of what lies on the disk. */
const near = 128 << 10;
const far = 1 << 20;

/** A file that is too large to keep: it is read in pieces. */
export async function fileOfPath(path: string): Promise<TftpFile & { readonly changed: number }> {
  const handle = await open(path, 'r');
  try {
    const { size, mtimeMs } = await handle.stat();
    return new Piecewise(handle, size, mtimeMs);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

class Piecewise implements TftpFile {
  readonly size: number;
  /** Milliseconds since 1970 of its last change. */
  readonly changed: number;
  readonly #handle: FileHandle;
  #start = 0;
  #piece: Uint8Array = new Uint8Array(0);
  #closed = false;
  #reading: Promise<unknown> = Promise.resolve();
  /** Reused for every piece that lies in memory. */
  #memory: Buffer | null = null;

  constructor(handle: FileHandle, size: number, changed: number) {
    this.changed = changed;
    this.#handle = handle;
    this.size = size;
  }

  read(offset: number, length: number): Uint8Array | Promise<Uint8Array> {
    const stop = Math.min(offset + length, this.size);
    const from = offset - this.#start;
    if (from >= 0 && stop - this.#start <= this.#piece.length)
      return this.#piece.subarray(from, stop - this.#start);
    const now = this.#now(offset, stop - offset);
    if (now !== null) return now;
    const task = this.#fill(offset, Math.max(far, length), stop - offset);
    this.#reading = task.catch(() => undefined);
    return task;
  }

  #now(offset: number, needed: number): Uint8Array | null {
    if (needed <= 0 || needed > near) return null;
    this.#memory ??= Buffer.allocUnsafeSlow(near);
    // While it is filled it holds nothing.
    this.#piece = new Uint8Array(0);
    const count = readCached(this.#handle.fd, this.#memory, offset) ?? 0;
    if (count < needed) return null;
    this.#start = offset;
    this.#piece = this.#memory.subarray(0, Math.min(count, this.size - offset));
    return this.#piece.subarray(0, needed);
  }

  async #fill(offset: number, wanted: number, needed: number): Promise<Uint8Array> {
    const piece = Buffer.allocUnsafe(Math.min(wanted, this.size - offset));
    let filled = 0;
    while (filled < piece.length) {
      const { bytesRead } = await this.#handle.read(piece, filled, piece.length - filled, offset + filled);
      if (bytesRead === 0) throw new Error('the file became shorter while it was read');
      filled += bytesRead;
    }
    this.#start = offset;
    this.#piece = piece;
    return piece.subarray(0, needed);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#reading.then(() => this.#handle.close()).catch(() => undefined);
  }
}

/** `bytes` as netascii has them (RFC 764): line feed becomes CR LF, a bare CR becomes CR NUL. */
export function netascii(bytes: Uint8Array): Uint8Array {
  let extra = 0;
  for (const byte of bytes) if (byte === 10 || byte === 13) extra += 1;
  const out = new Uint8Array(bytes.length + extra);
  let at = 0;
  for (const byte of bytes) {
    if (byte === 10) out[at++] = 13;
    out[at++] = byte;
    if (byte === 13) out[at++] = 0;
  }
  return out;
}
