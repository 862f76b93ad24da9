/** Reads a file to its end for its digest, and says what it is. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { failure } from '../../shared/failure.ts';
import { openRegular, sameState, stateOf } from '../http/content.ts';
import { type Digested, digestOf, isWorthThread } from './digest.ts';
import type { FileFacts } from './folder.ts';
import { lookAt, readerOf } from './look.ts';

const pieceBytes = 1024 * 1024;
/** A file that was written so recently may still be written to. */
const quietMilliseconds = 250;
const againMilliseconds = 1000;

export interface HashTools {
  readonly signal: AbortSignal;
  readonly progress: (done: number, total: number | null) => void;
}

/**
 * What `path`, called `name`, holds. Begins anew while the file is being written. Rejects with HASH_FILE_UNKNOWN,
 * a system error, or the signal's reason.
 */
export async function hashFile(path: string, name: string, tools: HashTools): Promise<FileFacts> {
  for (;;) {
    const found = await attempt(path, name, tools);
    if (found !== null) return found;
    await pause(againMilliseconds, undefined, { signal: tools.signal });
  }
}

async function attempt(
  path: string,
  name: string,
  { signal, progress }: HashTools,
): Promise<FileFacts | null> {
  const opened = await openRegular(path);
  if (opened === null) throw failure('HASH_FILE_UNKNOWN', { path });
  const { handle, state } = opened;
  try {
    // Within one tick of the file system's clock two writes have the same time.
    const age = Date.now() - Number(BigInt(state.changed) / 1_000_000n);
    if (age >= 0 && age < quietMilliseconds) {
      await pause(quietMilliseconds - age, undefined, { signal });
      if (!sameState(state, stateOf(await handle.stat({ bigint: true })))) return null;
    }
    progress(0, state.size);
    const { bytes: done, sha256 } = isWorthThread(state.size)
      ? await digestOf(handle.fd, state.size, signal, (bytes) => progress(bytes, state.size))
      : await digestHere(handle, state.size, signal);
    progress(Math.min(done, state.size), state.size);
    if (done > state.size) return null;
    const facts = await lookAt(name, state.size, readerOf(handle));
    if (done !== state.size || !sameState(state, stateOf(await handle.stat({ bigint: true })))) return null;
    return { state, sha256, facts };
  } finally {
    await handle.close();
  }
}

/** Small files: a thread would take longer to begin than this to end. */
async function digestHere(handle: FileHandle, size: number, signal: AbortSignal): Promise<Digested> {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, Math.max(size, 1)));
  let bytes = 0;
  while (bytes <= size) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(piece, 0, piece.length, bytes);
    if (bytesRead === 0) break;
    hash.update(piece.subarray(0, bytesRead));
    bytes += bytesRead;
  }
  return { bytes, sha256: hash.digest('hex') };
}
