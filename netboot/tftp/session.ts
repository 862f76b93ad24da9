/** A running transfer: the pure `Transfer` bound to a socket, a peer and a file. */
import type { Socket } from 'node:dgram';
import type { Datagram, Endpoint } from '../story/step.ts';
import type { TftpFile } from './file.ts';
import { ErrorCode, encode, type TftpPacket, writeDataHeader } from './packet.ts';
import {
  type Advance,
  acknowledge,
  askedAgain,
  broken,
  type Transfer,
  tick,
  wireNumber,
} from './transfer.ts';

/** What sends: one socket for one transfer, or the listening one for all (single-port mode). */
export interface Outlet {
  readonly socket: Socket;
  readonly local: Endpoint;
  /** Ends the socket when it belongs to this transfer alone. */
  readonly close: () => void;
  /**
   * True when the kernel cuts one long datagram into blocks of `setSegment` bytes, so that a window is one call.
   */
  segment: boolean;
}

export interface SessionNews {
  /** Once, when the outcome stands; late packets may still come. */
  readonly finished: (session: Session) => void;
  /** Once, when the socket is closed. */
  readonly closed: (session: Session) => void;
  readonly datagram: (datagram: Omit<Datagram, 'mac' | 'address' | 'at'>) => void;
}

/** Datagrams of one transfer that are told for the capture file; a long transfer is told by its beginning. */
const mostTold = 400;
/** Answers to strangers who send to this transfer's port. */
const mostStrangers = 16;
/** Most segments and bytes of one long datagram (UDP_MAX_SEGMENTS and the length field). */
const mostSegments = 64;
const longestDatagram = 65_000;
/** Datagrams whose memory waits to be used again. */
const mostSpare = 4;

export class Session {
  readonly peer: Endpoint;
  readonly name: string;
  readonly outlet: Outlet;
  transfer: Transfer;
  /** Bytes of blocks that were sent, those sent again included. */
  sentBytes = 0;
  /** Set when the transfer is ended from outside; the peer was told. */
  stopped: string | null = null;
  readonly #file: TftpFile;
  readonly #news: SessionNews;
  readonly #mostBytes: number;
  #told = 0;
  #strangers = 0;
  #closed = false;
  #finished = false;
  /** Counts changes, so that blocks that were read from a disk for an old state are not sent. */
  #generation = 0;
  /** Memory of long datagrams that were sent; a new one for each window costs more than filling it. */
  readonly #spare: Buffer[] = [];

  constructor(
    peer: Endpoint,
    name: string,
    outlet: Outlet,
    file: TftpFile,
    first: Advance,
    mostBytes: number,
    news: SessionNews,
  ) {
    this.peer = peer;
    this.name = name;
    this.outlet = outlet;
    this.transfer = first.transfer;
    this.#file = file;
    this.#news = news;
    this.#mostBytes = mostBytes;
  }

  get closed(): boolean {
    return this.#closed;
  }

  take(step: Advance): void {
    this.transfer = step.transfer;
    if (step.transfer.phase === 'ended') {
      if (step.transfer.outcome?.kind === 'timeout')
        this.#send(encode({ kind: 'error', code: ErrorCode.undefined, message: 'timeout' }));
      if (step.transfer.outcome?.kind === 'refused')
        this.#send(
          encode({ kind: 'error', code: ErrorCode.undefined, message: step.transfer.outcome.message }),
        );
      this.close();
      return;
    }
    if (step.transfer.phase === 'dallying') this.#finish();
    if (step.send.kind === 'options') {
      this.#send(encode({ kind: 'options', options: step.transfer.agreement.accepted }));
    } else if (step.send.kind === 'blocks') this.#read(step.send.first, step.send.last);
  }

  receive(packet: TftpPacket, bytes: Uint8Array, now: number): void {
    if (this.#closed) return;
    this.#tell(bytes, true);
    if (packet.kind === 'ack') this.take(acknowledge(this.transfer, packet.block, now));
    else if (packet.kind === 'error') this.take(broken(this.transfer, packet.code, packet.message));
  }

  again(now: number): void {
    if (!this.#closed) this.take(askedAgain(this.transfer, now));
  }

  tick(now: number): void {
    if (!this.#closed && now >= this.transfer.deadline) this.take(tick(this.transfer, now));
  }

  /** RFC 1350 section 4: a packet from elsewhere is answered with an error and changes nothing. */
  stranger(from: Endpoint): void {
    if (this.#closed || this.#strangers >= mostStrangers) return;
    this.#strangers += 1;
    const message = 'unknown transfer';
    const bytes = encode({ kind: 'error', code: ErrorCode.unknownTransfer, message });
    this.outlet.socket.send(bytes, from.port, from.address, () => undefined);
  }

  /** Ends it from outside. The peer is told, unless it may take the word for an answer to what it asked since. */
  stop(message: string, quietly = false): void {
    if (this.#closed) return;
    if (this.transfer.phase !== 'dallying') {
      this.stopped = message;
      if (!quietly) this.#send(encode({ kind: 'error', code: ErrorCode.undefined, message }));
    }
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#file.close();
    this.outlet.close();
    this.#finish();
    this.#news.closed(this);
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#news.finished(this);
  }

  #read(first: number, last: number): void {
    const { blockSize } = this.transfer.agreement;
    this.#generation += 1;
    const generation = this.#generation;
    const offset = (first - 1) * blockSize;
    const found = this.#file.read(offset, (last - first + 1) * blockSize);
    if (found instanceof Uint8Array) {
      this.#blocks(first, last, found);
      return;
    }
    found.then(
      (bytes) => {
        if (!this.#closed && generation === this.#generation) this.#blocks(first, last, bytes);
      },
      () => this.stop('the file can not be read'),
    );
  }

  #blocks(first: number, last: number, bytes: Uint8Array): void {
    if (this.sentBytes > this.#mostBytes) {
      this.stop('too many bytes were sent again');
      return;
    }
    this.sentBytes += bytes.length;
    const stride = this.transfer.agreement.blockSize + 4;
    const most = this.outlet.segment ? Math.min(mostSegments, Math.floor(longestDatagram / stride)) : 1;
    if (most > 1 && last > first) {
      for (let from = first; from <= last; from += most)
        this.#together(from, Math.min(last, from + most - 1), first, bytes);
    } else for (let block = first; block <= last; block += 1) this.#one(block, first, bytes);
  }

  #one(block: number, first: number, bytes: Uint8Array): void {
    const { blockSize, rollover } = this.transfer.agreement;
    const header = Buffer.allocUnsafe(4);
    writeDataHeader(header, 0, wireNumber(block, rollover));
    const payload = bytes.subarray((block - first) * blockSize, (block - first + 1) * blockSize);
    const { socket } = this.outlet;
    socket.send([header, payload], this.peer.port, this.peer.address, failed);
    if (this.#told < mostTold) this.#tell(Buffer.concat([header, payload]), false);
  }

  /** Blocks `from` to `to` as one long datagram, which the kernel cuts. `first` is where `bytes` begin. */
  #together(from: number, to: number, first: number, bytes: Uint8Array): void {
    const { blockSize, rollover } = this.transfer.agreement;
    const start = (from - first) * blockSize;
    const stop = Math.min((to - first + 1) * blockSize, bytes.length);
    const length = stop - start + 4 * (to - from + 1);
    // What is told may be kept by who hears it.
    const spare = this.#told < mostTold ? null : this.#memory(length);
    const whole = spare?.subarray(0, length) ?? Buffer.allocUnsafe(length);
    for (let block = from; block <= to; block += 1) {
      const at = (block - from) * (blockSize + 4);
      writeDataHeader(whole, at, wireNumber(block, rollover));
      const begins = (block - first) * blockSize;
      whole.set(bytes.subarray(begins, Math.min(begins + blockSize, stop)), at + 4);
      if (this.#told < mostTold) this.#tell(whole.subarray(at, at + blockSize + 4), false);
    }
    this.outlet.socket.send(whole, this.peer.port, this.peer.address, (error) => {
      if (spare !== null && this.#spare.length < mostSpare) this.#spare.push(spare);
      // A network card that leaves checksums to the CPU refuses long datagrams: one by one from now on.
      if (!error || this.#closed) return;
      this.outlet.segment = false;
      for (let block = from; block <= to; block += 1) this.#one(block, first, bytes);
    });
  }

  #memory(length: number): Buffer {
    const found = this.#spare.pop();
    return found !== undefined && found.length >= length ? found : Buffer.allocUnsafeSlow(length);
  }

  #send(bytes: Uint8Array): void {
    this.outlet.socket.send(bytes, this.peer.port, this.peer.address, failed);
    this.#tell(bytes, false);
  }

  #tell(payload: Uint8Array, received: boolean): void {
    if (this.#told >= mostTold) return;
    this.#told += 1;
    const { peer } = this;
    const { local } = this.outlet;
    this.#news.datagram({ from: received ? peer : local, to: received ? local : peer, payload });
  }
}

/** A datagram that could not be sent is one that got lost: it is sent again in time. */
function failed(): void {}
