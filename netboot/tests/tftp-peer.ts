/** Runs a `TftpClient` over a real socket. */
import { createSocket, type Socket } from 'node:dgram';
import { parse } from '../tftp/packet.ts';
import { TftpClient, type Wish } from './tftp-client.ts';

export interface FetchOptions {
  /** Own address; the default lets the system choose. */
  readonly from?: string;
  readonly signal?: AbortSignal;
  /** Chance from 0 to 1 that a packet of the server is lost. */
  readonly loss?: number;
}

/** Binds a UDP socket. */
export function bound(address = '0.0.0.0', port = 0): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 22 });
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true }, () => resolve(socket));
  });
}

/** Fetches `wish.file`; the client's state says how that ended. */
export async function fetchTftp(
  server: { readonly address: string; readonly port: number },
  wish: Wish,
  options: FetchOptions = {},
): Promise<TftpClient> {
  const socket = await bound(options.from);
  const client = new TftpClient(wish, performance.now());
  let to = server;
  let known = false;
  const send = (packets: readonly Uint8Array[]) => {
    for (const bytes of packets) socket.send(bytes, to.port, to.address, () => undefined);
  };
  try {
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        send(client.tick(performance.now()));
        settle();
      }, 20);
      const settle = () => {
        if (!client.finished && !options.signal?.aborted) return;
        clearInterval(timer);
        socket.off('message', hear);
        resolve();
      };
      const hear = (bytes: Buffer, from: { address: string; port: number }) => {
        if (options.loss !== undefined && Math.random() < options.loss) return;
        if (known && from.port !== to.port) return;
        const packet = parse(bytes);
        if (packet.kind === 'malformed') return;
        to = { address: from.address, port: from.port };
        known = true;
        send(client.receive(packet, performance.now()));
        settle();
      };
      socket.on('message', hear);
      send([client.request()]);
    });
    // The last packet is on its way once the socket has nothing queued.
    await new Promise<void>((resolve) => setImmediate(resolve));
    return client;
  } finally {
    socket.close();
  }
}
