/**
 * Everything that waits at a socket, read in one turn of the event loop. libuv takes 32 datagrams in a turn. While
 * thousands of machines load files, a turn is long and more than 32 come in it: they would wait in the kernel for longer
 * than their clients do, and every answer would be to a question that was given up.
 */
import type { Socket } from 'node:dgram';
import { DatagramReader } from '../system/native.ts';
import { type Ipv4, parseAddress } from './address.ts';
import { mostLength } from './packet.ts';

/** Datagrams in one turn, so that a flood leaves time for everything else. */
export const mostInTurn = 256;

export type Take = (bytes: Uint8Array, from: { readonly address: Ipv4; readonly port: number }) => void;

/** What all sockets of an interface read in one turn of the event loop. */
export class Turn {
  left = mostInTurn;
  readonly #ended: (full: boolean) => void;

  /** `ended`: told after each turn in which something came, and whether it was as much as one may read. */
  constructor(ended: (full: boolean) => void = () => {}) {
    this.#ended = ended;
  }

  /** One more datagram is taken. */
  count(): void {
    if (this.left === mostInTurn)
      setImmediate(() => {
        const full = this.left <= 0;
        this.left = mostInTurn;
        this.#ended(full);
      });
    this.left--;
  }
}

/** Calls `take` with every datagram of `socket`, which is `descriptor`, as long as `isOpen`. */
export function hear(
  socket: Socket,
  descriptor: number,
  isOpen: () => boolean,
  take: Take,
  turn: Turn = new Turn(),
): void {
  const reader = new DatagramReader(descriptor, mostLength + 1);
  // Clients without an address all send from 0.0.0.0, and relays send often.
  let last = { text: '0.0.0.0', address: 0 };
  socket.on('message', (bytes, from) => {
    if (!isOpen()) return;
    if (from.address !== last.text) last = { text: from.address, address: parseAddress(from.address) ?? 0 };
    turn.count();
    take(bytes, { address: last.address, port: from.port });
    while (turn.left > 0 && isOpen()) {
      const next = reader.next();
      if (next === null) return;
      turn.count();
      take(next.bytes, { address: next.address, port: next.port });
    }
  });
}
