import { parentPort } from 'node:worker_threads';
import { BlockDecoder, type BlockResult, decodedBlock } from './bzip2block.ts';

/** A block to decode. Its buffers are the worker's until it replies. */
export interface BlockRequest {
  readonly id: number;
  /** Stored bytes, and `blockSlack` more. */
  readonly input: SharedArrayBuffer;
  /** Bits of `input`: where the magic of the block starts, and the first that does not belong to it. */
  readonly start: number;
  readonly end: number;
  /** `decodedSize` bytes. */
  readonly output: SharedArrayBuffer;
}
export interface BlockReply {
  readonly id: number;
  readonly result: BlockResult;
}

const port = parentPort;
if (!port) throw new Error('the bzip2 worker runs only as a worker thread');
const decoder = new BlockDecoder();

port.on('message', ({ id, input, start, end, output }: BlockRequest) => {
  const result = decoder.decode(new Uint8Array(input), start, end, decodedBlock(output));
  const reply: BlockReply = { id, result };
  port.postMessage(reply);
});
