import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Whether nobody listens at `port` of 127.0.0.1. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/**
 * A TCP port of 127.0.0.1 for a program that cannot choose one itself. It lies below those that Linux gives out by
 * itself (ip(7), ip_local_port_range), so that nobody gets it by chance before the program has it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000);
    if (await isFree(port)) return port;
  }
}
