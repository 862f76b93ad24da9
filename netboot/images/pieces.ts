import type { FileHandle } from 'node:fs/promises';

const pieceBytes = 1024 * 1024;

/**
 * The bytes of `handle` from its start, each piece in memory of its own; the handle stays open (a stream closes it
 * even when told not to, once it is iterated).
 */
export async function* piecesOf(handle: FileHandle, signal: AbortSignal): AsyncGenerator<Buffer, undefined> {
  for (let position = 0; ; ) {
    signal.throwIfAborted();
    const piece = Buffer.allocUnsafe(pieceBytes);
    const { bytesRead } = await handle.read(piece, 0, pieceBytes, position);
    if (bytesRead === 0) return undefined;
    position += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}
