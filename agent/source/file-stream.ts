import { Socket } from 'node:net';
import { failure } from '../../shared/failure.ts';
import { orAborted } from './abort.ts';
import { closeDescriptor, readDescriptor } from './file-descriptor.ts';
import { once, readHead, replay } from './head.ts';
import { Inbox, ReadBuffers } from './inbox.ts';
import { problemOf } from './problem.ts';
import { type ImageSource, type SourceStream, titleOf } from './source.ts';

/** How a source that can be read once is called, and whether its descriptor is closed with it. */
export interface StreamOptions {
  readonly location: string;
  readonly name: string;
  readonly owned: boolean;
}

/** A source that is read once, from a pipe or socket, or (not `polled`) by plain reads. */
export function streamSource(descriptor: number, options: StreamOptions, polled = true): ImageSource {
  const { location, name } = options;
  const stream = (polled ? pipeStream : plainStream)(descriptor, options);
  const head = once(() => readHead((room) => stream.read(room)));
  let opened = false;
  return {
    kind: 'stdin',
    location,
    name,
    size: null,
    random: null,
    reopenable: false,
    head,
    async open(signal) {
      if (opened) throw failure('INTERNAL', { problem: `${titleOf(location)} can be read only once` });
      opened = true;
      signal.throwIfAborted();
      const replayed = replay(head, stream);
      return {
        async read(into) {
          signal.throwIfAborted();
          return orAborted(replayed.read(into), signal);
        },
        close: () => stream.close(),
      };
    },
    close: () => stream.close(),
  };
}

const chunkBytes = 64 * 1024; // pipe(7): the capacity of a pipe
const limits = { bytes: 1024 * 1024, chunks: 16 };

/** Reads when the kernel says that bytes are there, so that no thread waits and the process can always exit. */
function pipeStream(descriptor: number, { location }: StreamOptions): SourceStream {
  let position = 0;
  const fails = (error: unknown) =>
    failure(
      'SOURCE_READ_FAILED',
      { image: titleOf(location), offset: position, problem: problemOf(error) },
      error,
    );
  const buffers = new ReadBuffers(chunkBytes);
  const inbox = new Inbox(limits, () => socket.resume(), buffers.spent);
  const received = (count: number, buffer: Uint8Array): boolean => {
    position += count;
    return inbox.put(buffer.subarray(0, count));
  };
  const onread = { buffer: buffers.next, callback: received };
  const socket = openSocket();
  socket.on('end', () => inbox.end());
  socket.on('error', (error) => inbox.fail(fails(error)));
  socket.on('close', () => inbox.fail(fails(new Error('it was closed'))));

  function openSocket(): Socket {
    try {
      return new Socket({ fd: descriptor, readable: true, writable: false, onread });
    } catch (error) {
      throw failure('IMAGE_UNREADABLE', { image: titleOf(location), problem: problemOf(error) }, error);
    }
  }

  return {
    read: (into) => inbox.read(into),
    // Ends the descriptor too; nothing else of this process reads from a stream that an image comes from.
    close: async () => {
      socket.destroy();
    },
  };
}

/** Reads with read(2): character devices, and files that were read from before. */
function plainStream(descriptor: number, { location, owned }: StreamOptions): SourceStream {
  let position = 0;
  return {
    async read(into) {
      try {
        const count = await readDescriptor(descriptor, into, into.length, null);
        position += count;
        return count;
      } catch (error) {
        const problem = problemOf(error);
        throw failure('SOURCE_READ_FAILED', { image: titleOf(location), offset: position, problem }, error);
      }
    },
    close: async () => {
      if (owned) await closeDescriptor(descriptor);
    },
  };
}
