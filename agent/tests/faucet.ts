import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Faucet {
  readonly url: string;
  /** Lets the rest of the image flow. */
  readonly open: () => void;
  /** Users that own the other ends of the connections there were, as the kernel tells. */
  readonly users: ReadonlySet<number>;
}

/** Runs `use` with a server of `image` that gives its first `before` bytes and the rest only when it is let. */
export async function withFaucet(
  image: Uint8Array,
  before: number,
  use: (faucet: Faucet) => Promise<void>,
): Promise<void> {
  const waiting = new Set<ServerResponse>();
  const users = new Set<number>();
  let isOpen = false;
  const server = createServer(async (request, response) => {
    users.add(await ownerOf(request.socket.remotePort ?? 0));
    if (before > 0 || isOpen) {
      response.writeHead(200, { 'Content-Length': image.length });
      if (request.method === 'HEAD') return void response.end();
      response.write(image.subarray(0, before));
    }
    if (isOpen) response.end(image.subarray(before));
    else waiting.add(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const open = (): void => {
    isOpen = true;
    for (const response of waiting) response.end(image.subarray(before));
    waiting.clear();
  };
  try {
    await use({ url: `http://127.0.0.1:${port}/image.img`, open, users });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** proc_net(5), /proc/net/tcp: local address, remote address, ... uid in the eighth column. */
async function ownerOf(port: number): Promise<number> {
  const wanted = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of (await readFile('/proc/net/tcp', 'latin1')).split('\n')) {
    const columns = line.trim().split(/\s+/);
    if (columns[1] === wanted) return Number(columns[7]);
  }
  return -1;
}
