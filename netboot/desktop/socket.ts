/** The door by which an app finds an appliance again that it left running: a socket that only its user may open. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { socketName } from '../../shared/desktop/protocol.ts';

/** unix(7): `sun_path` takes so many bytes, its end counted. */
const longestPath = 108;

/**
 * Listens in `stateDir`, which this process must hold (store/lock.ts): whatever socket lies there is a dead one's.
 * Null where the path is too long for a socket.
 */
export async function openDesktopSocket(
  stateDir: string,
  accept: (socket: Socket) => void,
): Promise<(() => Promise<void>) | null> {
  const path = join(stateDir, socketName);
  if (Buffer.byteLength(path) >= longestPath) return null;
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    accept(socket);
  });
  rmSync(path, { force: true });
  // Nobody else may connect at any moment: not between the making of the socket and the change of its mode either.
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } finally {
    process.umask(before);
  }
  chmodSync(path, 0o600);
  return async () => {
    for (const socket of open) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    rmSync(path, { force: true });
  };
}
