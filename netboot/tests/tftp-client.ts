/**
 * A TFTP client as a value: packets and time in, packets out. It stands for firmware in tests and in the simulator.
 */
import { encode, type Options, type TftpPacket } from '../tftp/packet.ts';

export interface Wish {
  readonly file: string;
  readonly mode?: string;
  /** Options of the request; none makes it a client of 1992. */
  readonly options?: Options;
  /** Sends ERROR 8 when the OACK came, as EDK2's size probe does. */
  readonly probe?: boolean;
  /** Block number after 65535. */
  readonly rollover?: 0 | 1;
  /** Acknowledges every block that it already has, as RFC 1350 clients do. */
  readonly acknowledgesOld?: boolean;
  /** Milliseconds until it sends again, and how often it does. */
  readonly timeout?: number;
  readonly retries?: number;
}

export type FetchState = 'asking' | 'receiving' | 'done' | 'probed' | 'failed';

export class TftpClient {
  state: FetchState = 'asking';
  problem = '';
  size: number | null = null;
  agreed: Options = [];
  readonly chunks: Uint8Array[] = [];
  bytes = 0;
  /** When `tick` is due. */
  deadline: number;
  packets = 0;
  readonly wish: Wish;
  readonly #timeout: number;
  readonly #retries: number;
  #blockSize = 512;
  #windowSize = 1;
  #next = 1;
  #inWindow = 0;
  #attempts = 0;
  #gapTold = -1;

  constructor(wish: Wish, now: number) {
    this.wish = wish;
    this.#timeout = wish.timeout ?? 1000;
    this.#retries = wish.retries ?? 20;
    this.deadline = now + this.#timeout;
  }

  request(): Uint8Array {
    const { file, mode = 'octet', options = [] } = this.wish;
    return encode({ kind: 'read', file, mode, options });
  }

  get content(): Buffer {
    return Buffer.concat(this.chunks);
  }

  get finished(): boolean {
    return this.state === 'done' || this.state === 'failed' || this.state === 'probed';
  }

  receive(packet: TftpPacket, now: number): Uint8Array[] {
    this.packets += 1;
    if (packet.kind === 'error') return this.#fail(`error ${packet.code}: ${packet.message}`);
    if (packet.kind === 'options') return this.#agree(packet.options, now);
    if (packet.kind !== 'data') return [];
    if (this.state === 'done') return this.wish.acknowledgesOld === false ? [] : [this.#ack()];
    if (this.finished) return [];
    return this.#data(packet.block, packet.payload, now);
  }

  tick(now: number): Uint8Array[] {
    if (this.finished || now < this.deadline) return [];
    this.#attempts += 1;
    if (this.#attempts > this.#retries) return this.#fail(`no answer after ${this.#retries} tries`);
    this.deadline = now + this.#timeout;
    this.#inWindow = 0;
    this.#gapTold = -1;
    return this.state === 'asking' ? [this.request()] : [this.#ack()];
  }

  #fail(problem: string): Uint8Array[] {
    if (!this.finished) {
      this.state = 'failed';
      this.problem = problem;
    }
    return [];
  }

  #agree(options: Options, now: number): Uint8Array[] {
    if (this.state === 'receiving') return this.#next === 1 ? [this.#ack()] : [];
    if (this.state !== 'asking') return [];
    for (const [name, value] of options) {
      if (name === 'blksize') this.#blockSize = Number(value);
      if (name === 'windowsize') this.#windowSize = Number(value);
      if (name === 'tsize') this.size = Number(value);
    }
    this.agreed = options;
    if (this.wish.probe) {
      this.state = 'probed';
      return [encode({ kind: 'error', code: 8, message: 'User aborted the transfer' })];
    }
    this.state = 'receiving';
    this.#touch(now);
    return [this.#ack()];
  }

  #wire(block: number): number {
    if (block === 0 || this.wish.rollover !== 1) return block & 0xffff;
    return ((block - 1) % 0xffff) + 1;
  }

  #ack(): Uint8Array {
    return encode({ kind: 'ack', block: this.#wire(this.#next - 1) });
  }

  #touch(now: number): void {
    this.#attempts = 0;
    this.deadline = now + this.#timeout;
  }

  #data(number: number, payload: Uint8Array, now: number): Uint8Array[] {
    this.state = 'receiving';
    if (number !== this.#wire(this.#next)) {
      const ahead = (number - this.#wire(this.#next) + 0x10000) & 0xffff;
      this.#inWindow = 0;
      if (ahead < 0x8000 && this.#windowSize > 1) {
        // A gap is told once for each place (RFC 7440 section 4).
        if (this.#gapTold === this.#next) return [];
        this.#gapTold = this.#next;
        return [this.#ack()];
      }
      return this.wish.acknowledgesOld === false || this.#windowSize > 1 ? [] : [this.#ack()];
    }
    this.chunks.push(Uint8Array.from(payload));
    this.bytes += payload.length;
    this.#next += 1;
    this.#inWindow += 1;
    this.#touch(now);
    if (payload.length < this.#blockSize) {
      this.state = 'done';
      return [this.#ack()];
    }
    if (this.#inWindow < this.#windowSize) return [];
    this.#inWindow = 0;
    return [this.#ack()];
  }
}
