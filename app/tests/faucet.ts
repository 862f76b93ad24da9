import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Faucet extends AsyncDisposable {
  readonly url: string;
  /** Lets the rest of the image flow. */
  open(): void;
}

/** A server of `image` that gives only its first `before` bytes to whoever wants all of it, until it is opened. */
export async function faucet(image: Uint8Array, before: number, name = 'slow.img'): Promise<Faucet> {
  const waiting = new Set<ServerResponse>();
  let isOpen = false;
  const server = createServer((request, response) => {
    if (request.url !== `/${name}`) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-length': image.length });
    if (request.method === 'HEAD') return void response.end();
    response.write(image.subarray(0, before));
    if (isOpen) response.end(image.subarray(before));
    else waiting.add(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/${name}`,
    open() {
      isOpen = true;
      for (const response of waiting) response.end(image.subarray(before));
      waiting.clear();
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
