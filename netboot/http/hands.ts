/**
 * More hands at the door of a server. libuv takes one connection of a listening socket in each turn of the event loop;
 * while thousands of machines boot, a turn is long, and who waits is turned away. So several descriptors of the one
 * socket are listened at, and each brings one in a turn.
 */
import { createServer, type Server } from 'node:net';
import { duplicate } from '../system/native.ts';

/** Together with the server's own. */
const hands = 32;

/**
 * Servers beside `server`, which listens; what connects to them is a connection of `server`. It takes no more when these
 * are closed too. `halfOpen`: whether a client may end its side first, as `server` has it.
 */
export async function moreHands(server: Server, backlog: number, halfOpen: boolean): Promise<Server[]> {
  // Node.js has no other way to ask for the descriptor.
  const { _handle: handle } = server as unknown as { readonly _handle?: { readonly fd?: unknown } | null };
  const descriptor = handle?.fd;
  if (process.platform !== 'linux' || typeof descriptor !== 'number' || descriptor < 0) return [];
  const more: Server[] = [];
  server.once('close', () => {
    for (const one of more) one.close();
  });
  try {
    while (more.length < hands - 1) {
      const one = createServer({ allowHalfOpen: halfOpen, noDelay: true }, (socket) =>
        server.emit('connection', socket),
      );
      await new Promise<void>((resolve, reject) => {
        one.once('error', reject);
        one.listen({ fd: duplicate(descriptor) }, backlog, resolve);
      });
      // Without a descriptor to spare nobody is let in; who waits is taken once there is one.
      one.on('error', () => {});
      more.push(one);
    }
  } catch {
    // Fewer hands take as much, only later.
  }
  return more;
}
