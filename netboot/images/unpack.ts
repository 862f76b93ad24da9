/** Unpacks a gz image to nowhere: to learn how large the disk inside is, and that the packing is whole. */
import type { FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { piecesOf } from './pieces.ts';

const pieceBytes = 1024 * 1024;

export type Unpacked =
  | { readonly kind: 'whole'; readonly bytes: number }
  | { readonly kind: 'damaged'; readonly problem: string };

/** Reads `handle` to its end; `progress` is told stored bytes. Rejects with the signal's reason or a system error. */
export async function gunzipToNowhere(
  handle: FileHandle,
  signal: AbortSignal,
  progress: (stored: number) => void,
): Promise<Unpacked> {
  let stored = 0;
  let bytes = 0;
  async function* counted() {
    for await (const piece of piecesOf(handle, signal)) {
      stored += piece.length;
      progress(stored);
      yield piece;
    }
  }
  try {
    await pipeline(
      counted,
      createGunzip({ chunkSize: pieceBytes }),
      async (pieces: AsyncIterable<Buffer>) => {
        for await (const piece of pieces) bytes += piece.length;
      },
      { signal },
    );
    return { kind: 'whole', bytes };
  } catch (error) {
    signal.throwIfAborted();
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!code.startsWith('Z_')) throw error;
    return {
      kind: 'damaged',
      problem: `its gz stream is damaged: ${error instanceof Error ? error.message : code}`,
    };
  }
}
