/** TFTP, read only: a short loop of sockets around `transfer.ts`. Names are keys of a table, never paths. */
import { createSocket, type Socket } from 'node:dgram';
import { failure } from '../../shared/failure.ts';
import { formatAddress } from '../dhcp/address.ts';
import { hear } from '../dhcp/inlet.ts';
import type { Endpoint, StepNews, TransferEnd, Who, Witness } from '../story/step.ts';
import { fileOfBytes, netascii, type TftpFile } from './file.ts';
import { fileName } from './name.ts';
import { negotiate, type OptionLimits } from './options.ts';
import { ErrorCode, encode, parse, type TftpPacket } from './packet.ts';
import { type Outlet, Session } from './session.ts';
import { begin, bytesAcknowledged, defaultRules, type TransferRules } from './transfer.ts';

/** The file of a name, for a machine; null when there is none. */
export type FindFile = (name: string, who: Who) => TftpFile | null | Promise<TftpFile | null>;

export interface TftpOptions {
  /** Address of the interface. Answers come from it too, as clients demand. */
  readonly address: string;
  readonly port: number;
  readonly find: FindFile;
  readonly witness: Witness;
  /** MAC that uses an address, null where it is not known. */
  readonly macOf: (address: string) => string | null;
  /** Who is answered at all. */
  readonly allowed: (address: string) => boolean;
  readonly limits: OptionLimits;
  /** All packets from the listening port, for clients behind address translation. */
  readonly singlePort?: boolean;
  readonly rules?: TransferRules;
  readonly caps?: Partial<TftpCaps>;
  /** Milliseconds since 1970, for what is told. */
  readonly clock?: () => number;
  /** Opens and binds a socket; the default is an ordinary one. `segment` is the wish for long datagrams of that size. */
  readonly open?: OpenSocket;
}

export type OpenSocket = (
  address: string,
  port: number,
  segment: number | null,
) => Promise<{
  readonly socket: Socket;
  readonly segment: boolean;
  /** Of the socket, where it is known: then more is read of it in each turn. */
  readonly descriptor?: number;
}>;

export interface TftpCaps {
  readonly transfers: number;
  readonly perClient: number;
  /**
   * Milliseconds after which a transfer that nobody acknowledged yet makes room for others. Under load
   * acknowledgements wait too.
   */
  readonly unproven: number;
  /** Files larger than this are not served over TFTP. */
  readonly fileBytes: number;
}
export const defaultCaps: TftpCaps = {
  transfers: 2048,
  perClient: 8,
  unproven: 8000,
  fileBytes: 1 << 30,
};

export interface TftpCounts {
  readonly running: number;
  readonly done: number;
  readonly probes: number;
  readonly failed: number;
  readonly refused: number;
  /** Requests that got no answer because too many transfers run; clients ask again. */
  readonly busy: number;
  readonly foreign: number;
  readonly malformed: number;
  readonly bytes: number;
}

/** Bytes of the largest block that may go together with others: as long as two fit one datagram. */
export const longestBlock = 32_000;
const ticking = 25;
/** Milliseconds after progress in which a request for the same file from the same port is an old one. */
const lateRequest = 1000;
/** netascii is converted as a whole. */
const mostText = 16 << 20;

export const openPlainSocket: OpenSocket = (address, port) =>
  new Promise((resolve, reject) => {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20, sendBufferSize: 1 << 20 });
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off('error', reject);
      resolve({ socket, segment: false });
    });
  });

export class TftpServer {
  readonly local: Endpoint;
  readonly #options: TftpOptions;
  readonly #caps: TftpCaps;
  readonly #rules: TransferRules;
  readonly #open: OpenSocket;
  readonly #socket: Socket;
  readonly #sessions = new Map<string, Session>();
  readonly #opening = new Map<string, string>();
  readonly #perClient = new Map<string, number>();
  readonly #counts = {
    done: 0,
    probes: 0,
    failed: 0,
    refused: 0,
    busy: 0,
    foreign: 0,
    malformed: 0,
    bytes: 0,
  };
  #timer: NodeJS.Timeout | null = null;
  /** Transfers that are not finished; the others still take late packets. */
  #running = 0;
  #closed = false;

  private constructor(options: TftpOptions, socket: Socket, descriptor: number | undefined) {
    this.#options = options;
    this.#caps = { ...defaultCaps, ...options.caps };
    this.#rules = options.rules ?? defaultRules;
    this.#open = options.open ?? openPlainSocket;
    this.#socket = socket;
    const { address, port } = socket.address();
    // A socket that systemd opened hears on every address; transfers leave from the one that is served.
    this.local = { address: address === '0.0.0.0' ? options.address : address, port };
    if (descriptor === undefined) socket.on('message', (bytes, from) => this.#receive(bytes, from));
    else {
      const isOpen = () => !this.#closed;
      hear(socket, descriptor, isOpen, (bytes, from) => {
        this.#receive(bytes, { address: formatAddress(from.address), port: from.port });
      });
    }
    // A packet that can not be sent or received is a lost packet.
    socket.on('error', () => undefined);
  }

  /** Listens. Failure: PORT_TAKEN. */
  static async listen(options: TftpOptions): Promise<TftpServer> {
    const { address, port } = options;
    try {
      const { socket, descriptor } = await (options.open ?? openPlainSocket)(address, port, null);
      return new TftpServer(options, socket, descriptor);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const holder = code === 'EADDRINUSE' ? 'another program' : `the system (${code ?? String(error)})`;
      if (error instanceof Error && error.name === 'Failure') throw error;
      throw failure('PORT_TAKEN', { protocol: 'TFTP', address, port, holder }, error);
    }
  }

  counts(): TftpCounts {
    return { running: this.#running, ...this.#counts };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const session of [...this.#sessions.values()]) session.stop('the server ends');
    if (this.#timer) clearInterval(this.#timer);
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #receive(bytes: Uint8Array, from: Endpoint): void {
    if (this.#closed) return;
    if (from.port === 0 || !this.#options.allowed(from.address)) {
      this.#counts.foreign += 1;
      return;
    }
    const packet = parse(bytes);
    const now = performance.now();
    switch (packet.kind) {
      case 'malformed':
        this.#counts.malformed += 1;
        return;
      case 'read':
        this.#tell(from, this.local, bytes);
        void this.#read(packet, from, now).catch(() => {
          this.#refuse(from, packet.file, 'refused', ErrorCode.undefined, 'the file can not be read');
        });
        return;
      case 'write':
        this.#refuse(from, packet.file, 'refused', ErrorCode.accessViolation, 'this server is read only');
        return;
      case 'data':
      case 'ack':
      case 'error':
      case 'options':
        if (this.#options.singlePort) this.#sessions.get(keyOf(from))?.receive(packet, bytes, now);
        return;
    }
  }

  async #read(packet: TftpPacket & { kind: 'read' | 'write' }, from: Endpoint, now: number): Promise<void> {
    const key = keyOf(from);
    const running = this.#sessions.get(key);
    if (running && running.name === packet.file) {
      const { phase, acknowledged, progressAt } = running.transfer;
      // The client did not see our answer and asks again from the same port.
      if (acknowledged === 0) running.again(now);
      // One that was sent before our answer came, and waited somewhere: the client that begins anew asks once more.
      if (acknowledged === 0 || (phase === 'sending' && now - progressAt < lateRequest)) return;
    }
    if (this.#opening.get(key) === packet.file) return;
    // An error would reach the very port that waits for the answer to this request.
    running?.stop('the client asked anew', true);
    if (packet.mode !== 'octet' && packet.mode !== 'netascii') {
      this.#refuse(from, packet.file, 'refused', ErrorCode.illegalOperation, 'modes are octet and netascii');
      return;
    }
    if (!this.#admit(from, packet.file, now)) return;
    this.#opening.set(key, packet.file);
    try {
      const file = await this.#find(packet, from);
      if (file !== null) await this.#start(packet, from, file);
    } finally {
      this.#opening.delete(key);
    }
  }

  /** Whether there is room. Silence lets firmware ask again, while an error would end its boot. */
  #admit(from: Endpoint, file: string, now: number): boolean {
    const { transfers, perClient } = this.#caps;
    const ofClient = this.#perClient.get(from.address) ?? 0;
    const full = this.#running + this.#opening.size >= transfers;
    if (ofClient < perClient && (!full || this.#makeRoom(now))) return true;
    this.#counts.busy += 1;
    if (ofClient >= perClient) this.#failed(from, file, 0, 'too-busy', `${perClient} transfers already run`);
    return false;
  }

  /** Ends the oldest transfer that no packet of the client ever proved to be wanted. */
  #makeRoom(now: number): boolean {
    for (const session of this.#sessions.values()) {
      const { phase, acknowledged, startedAt } = session.transfer;
      const unproven = phase === 'agreeing' || (phase === 'sending' && acknowledged === 0);
      if (unproven && now - startedAt > this.#caps.unproven) {
        // An error would end the boot of firmware that is only slow; in silence it asks again.
        session.stop('another client needs the place', true);
        return true;
      }
    }
    return false;
  }

  async #find(packet: TftpPacket & { kind: 'read' | 'write' }, from: Endpoint): Promise<TftpFile | null> {
    const name = fileName(packet.file);
    if (name === null) {
      this.#refuse(from, packet.file, 'refused', ErrorCode.accessViolation, 'no such name can be');
      return null;
    }
    const file = await this.#options.find(name, this.#who(from.address));
    if (file === null) {
      this.#refuse(from, packet.file, 'not-found', ErrorCode.notFound, 'file not found');
      return null;
    }
    const most = packet.mode === 'octet' ? this.#caps.fileBytes : Math.min(mostText, this.#caps.fileBytes);
    if (file.size > most) {
      file.close();
      const message = `${file.size} bytes are too many for TFTP in mode ${packet.mode}`;
      this.#refuse(from, packet.file, 'too-large', ErrorCode.undefined, message);
      return null;
    }
    if (packet.mode === 'octet') return file;
    const bytes = netascii(await file.read(0, file.size));
    file.close();
    return fileOfBytes(bytes);
  }

  async #start(
    packet: TftpPacket & { kind: 'read' | 'write' },
    from: Endpoint,
    file: TftpFile,
  ): Promise<void> {
    const { limits, witness, singlePort } = this.#options;
    const agreement = negotiate(packet.options, packet.mode === 'octet' ? file.size : null, limits);
    const outlet = singlePort ? this.#shared() : await this.#own(from, agreement.blockSize + 4);
    if (this.#closed || outlet === null) {
      file.close();
      outlet?.close();
      return;
    }
    const now = performance.now();
    const first = begin(file.size, agreement, this.#rules, now);
    // Loss costs repetitions; a client that provokes more than these is not served to the end.
    const mostBytes = 4 * file.size + (1 << 22);
    const session = new Session(from, packet.file, outlet, file, first, mostBytes, {
      finished: (finished) => this.#finished(finished),
      closed: (closed) => this.#forget(closed),
      datagram: (datagram) => witness.datagram({ at: this.#now(), ...this.#who(from.address), ...datagram }),
    });
    const key = keyOf(from);
    this.#sessions.set(key, session);
    this.#running += 1;
    this.#perClient.set(from.address, (this.#perClient.get(from.address) ?? 0) + 1);
    if (!singlePort) this.#hear(session, outlet.socket);
    this.#timer ??= setInterval(() => this.#tick(), ticking);
    const { blockSize, windowSize } = agreement;
    this.#step(from, { kind: 'tftp-start', file: packet.file, bytes: file.size, blockSize, windowSize });
    session.take(first);
  }

  #shared(): Outlet {
    return { socket: this.#socket, local: this.local, close() {}, segment: false };
  }

  async #own(from: Endpoint, segment: number): Promise<Outlet | null> {
    try {
      const opened = await this.#open(this.local.address, 0, segment);
      const { socket } = opened;
      const { address, port } = socket.address();
      return { socket, segment: opened.segment, local: { address, port }, close: () => socket.close() };
    } catch {
      // No descriptor is left: as busy as with too many transfers.
      this.#counts.busy += 1;
      this.#failed(from, '', 0, 'too-busy', 'no socket is left');
      return null;
    }
  }

  #hear(session: Session, socket: Socket): void {
    socket.on('error', () => undefined);
    socket.on('message', (bytes, from) => {
      if (from.port !== session.peer.port || from.address !== session.peer.address) {
        if (this.#options.allowed(from.address)) session.stranger(from);
        return;
      }
      const packet = parse(bytes);
      if (packet.kind !== 'malformed') session.receive(packet, bytes, performance.now());
    });
  }

  #tick(): void {
    const now = performance.now();
    for (const session of this.#sessions.values()) session.tick(now);
  }

  #finished(session: Session): void {
    this.#running -= 1;
    const left = (this.#perClient.get(session.peer.address) ?? 1) - 1;
    if (left > 0) this.#perClient.set(session.peer.address, left);
    else this.#perClient.delete(session.peer.address);
    this.#counts.bytes += session.sentBytes;
    this.#report(session);
  }

  #forget(session: Session): void {
    const key = keyOf(session.peer);
    if (this.#sessions.get(key) === session) this.#sessions.delete(key);
    if (this.#sessions.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #report({ transfer, stopped, name: file, peer }: Session): void {
    const bytes = bytesAcknowledged(transfer);
    const outcome = transfer.outcome ?? { kind: 'shutdown' as const };
    switch (outcome.kind) {
      case 'done': {
        this.#counts.done += 1;
        const milliseconds = Math.round(transfer.progressAt - transfer.startedAt);
        this.#step(peer, { kind: 'tftp-done', file, bytes, milliseconds, resent: transfer.resent });
        return;
      }
      case 'probe':
        this.#counts.probes += 1;
        this.#step(peer, { kind: 'tftp-probe', file, bytes: transfer.size });
        return;
      case 'aborted':
        this.#failed(peer, file, bytes, 'aborted', `error ${outcome.code}: ${outcome.message}`);
        return;
      case 'timeout':
        this.#failed(peer, file, bytes, 'timeout', 'the client fell silent');
        return;
      case 'refused':
        this.#failed(peer, file, bytes, 'refused', outcome.message);
        return;
      case 'shutdown':
        this.#failed(peer, file, bytes, 'shutdown', stopped ?? 'the transfer was ended');
        return;
    }
  }

  #refuse(from: Endpoint, file: string, end: TransferEnd, code: number, message: string): void {
    const bytes = encode({ kind: 'error', code, message });
    if (this.#closed) return;
    this.#socket.send(bytes, from.port, from.address, () => undefined);
    this.#tell(this.local, from, bytes);
    this.#counts.refused += 1;
    this.#step(from, { kind: 'tftp-failed', file: file.slice(0, 200), bytes: 0, end, message });
  }

  #failed(peer: Endpoint, file: string, bytes: number, end: TransferEnd, message: string): void {
    this.#counts.failed += 1;
    this.#step(peer, { kind: 'tftp-failed', file, bytes, end, message: message.slice(0, 200) });
  }

  #step(peer: Endpoint, news: StepNews): void {
    this.#options.witness.step({ at: this.#now(), ...this.#who(peer.address), ...news });
  }

  #tell(from: Endpoint, to: Endpoint, payload: Uint8Array): void {
    const peer = from === this.local ? to : from;
    this.#options.witness.datagram({ at: this.#now(), ...this.#who(peer.address), from, to, payload });
  }

  #who(address: string): Who {
    return { mac: this.#options.macOf(address), address };
  }

  #now(): number {
    return (this.#options.clock ?? Date.now)();
  }
}

function keyOf({ address, port }: Endpoint): string {
  return `${address}:${port}`;
}
