import { createHash, type Hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import xxhash from 'xxhash-wasm';
import type { ZeroRun } from './chunk.ts';
import type { DigestReply, DigestRequest } from './digester.ts';
import { Ring, type RingHandle } from './ring.ts';

/**
 * Computes digests of slots away from the main thread: SHA-256 of the stored bytes in order, XXH64 of each
 * chunk of the image for the read-back, SHA-256 of ranges of a block map.
 */
const port = parentPort;
if (!port) throw new Error('the digest worker runs only as a worker thread');
const rings = (workerData as readonly RingHandle[]).map((handle) => new Ring(handle));
const stored = createHash('sha256');
const zeros = Buffer.alloc(1 << 16);
let range: Hash | undefined;

/** Runs are made of cells of this size: a zero-out of a few blocks takes a disk as long as to write them. */
const cell = 1 << 18;

function zeroRuns(bytes: Uint8Array): readonly ZeroRun[] {
  const runs: { start: number; end: number }[] = [];
  for (let start = 0; start < bytes.length; start += cell) {
    const end = Math.min(start + cell, bytes.length);
    if (!isZero(bytes.subarray(start, end))) continue;
    const before = runs.at(-1);
    if (before?.end === start) before.end = end;
    else runs.push({ start, end });
  }
  return runs;
}

function isZero(bytes: Uint8Array): boolean {
  for (let from = 0; from < bytes.length; from += zeros.length) {
    const part = bytes.subarray(from, from + zeros.length);
    if (zeros.compare(part, 0, part.length, 0, part.length) !== 0) return false;
  }
  return true;
}

type Hash64 = (bytes: Uint8Array) => bigint;

function serve(request: DigestRequest, hash64: Hash64): DigestReply {
  switch (request.kind) {
    case 'ring':
      rings.push(new Ring(request.handle));
      return { id: request.id };
    case 'slot': {
      const view = rings[request.ring]
        ?.view(request.slot)
        .subarray(request.start, request.start + request.length);
      if (!view) throw new RangeError(`there is no ring ${request.ring}`);
      if (request.sha256) stored.update(view);
      const zeros = request.zero ? zeroRuns(view) : [];
      return { id: request.id, zeros, ...(request.xxh64 && { xxh64: hash64(view) }) };
    }
    case 'range': {
      const view = rings[request.ring]
        ?.view(request.slot)
        .subarray(request.start, request.start + request.length);
      if (!view) throw new RangeError(`there is no ring ${request.ring}`);
      range ??= createHash(request.algorithm);
      range.update(view);
      if (!request.last) return { id: request.id };
      const hex = range.digest('hex');
      range = undefined;
      return { id: request.id, hex };
    }
    case 'finish':
      return { id: request.id, hex: stored.digest('hex') };
  }
}

// Requests wait in the port until its first listener is there.
void xxhash().then(({ h64Raw }) => {
  port.on('message', (request: DigestRequest) => port.postMessage(serve(request, h64Raw)));
});
