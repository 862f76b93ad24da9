/** The sockets of one interface: for every port one for broadcasts, and one for each address, which replies leave from. */
import { createSocket, type Socket } from 'node:dgram';
import { failure } from '../../shared/failure.ts';
import { holderOf } from '../system/holder.ts';
import {
  closeDescriptor,
  DatagramWriter,
  datagramSocket,
  isSystemError,
  setShared,
} from '../system/native.ts';
import { formatAddress, type Ipv4 } from './address.ts';
import { hear, type Take, Turn } from './inlet.ts';
import { addressBytes } from './option.ts';
import { Resend } from './resend.ts';

export type ServerPort = 67 | 4011;

export interface Received {
  readonly port: ServerPort;
  readonly bytes: Uint8Array;
  readonly from: { readonly address: Ipv4; readonly port: number };
  /** Our address it was sent to; null for broadcasts, undefined where the socket cannot tell. */
  readonly to: Ipv4 | null | undefined;
}

export interface LinkOptions {
  readonly device: string;
  readonly addresses: readonly Ipv4[];
  readonly ports: readonly ServerPort[];
  /** Sockets that systemd opened, by `dhcp-<interface>` and `proxy-<interface>`. */
  readonly handed: ReadonlyMap<string, readonly number[]>;
  readonly receive: (received: Received) => void;
  /** After each turn of the event loop in which something came: whether more may wait than was read. */
  readonly turned?: (full: boolean) => void;
  readonly complain: (problem: string) => void;
}

interface Door {
  readonly port: number;
  readonly address: Ipv4 | null;
  readonly socket: Socket;
  readonly writer: DatagramWriter;
}

/**
 * Bytes that wait in the kernel while the process is busy or waits for a processor: some 1600 requests. What waits
 * longer than its client does is answered for nothing, and then nobody is served; so under too much load the newest
 * are lost instead.
 */
const receiveBuffer = 2 << 20;
const noLookup = (
  host: string,
  _options: unknown,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
) => done(null, host, 4);

/** A datagram socket of Node.js around a descriptor that is already bound. */
export async function adopt(descriptor: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', lookup: noLookup });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ fd: descriptor }, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

async function explained(error: unknown, device: string, port: number): Promise<unknown> {
  if (isSystemError(error, 'EADDRINUSE')) {
    const holder = (await holderOf(port)) ?? 'another program';
    return failure('PORT_TAKEN', { protocol: 'UDP', address: device, port, holder }, error);
  }
  if (isSystemError(error, 'EACCES', 'EPERM')) {
    return failure('PORT_NOT_ALLOWED', { protocol: 'DHCP', port, interface: device }, error);
  }
  return error;
}

export class Link {
  readonly options: LinkOptions;
  private readonly doors: Door[] = [];
  private readonly turn: Turn;
  private prober: Socket | null = null;
  private closed = false;
  private readonly resend = new Resend();

  private constructor(options: LinkOptions) {
    this.options = options;
    this.turn = new Turn(options.turned);
  }

  /** Opens every socket or none. Fails with PORT_TAKEN or PORT_NOT_ALLOWED. */
  static async open(options: LinkOptions): Promise<Link> {
    const link = new Link(options);
    try {
      for (const port of options.ports) await link.openPort(port);
      await link.openProber();
      return link;
    } catch (error) {
      link.close();
      throw error;
    }
  }

  private async openPort(port: ServerPort): Promise<void> {
    const { device, addresses, handed } = this.options;
    const [given] = handed.get(`${port === 67 ? 'dhcp' : 'proxy'}-${device}`) ?? [];
    if (given !== undefined) {
      await this.add(port, undefined, given);
      return;
    }
    const descriptors: [Ipv4 | null, number][] = [];
    const open = (address: Ipv4 | null, shared: boolean) => {
      const descriptor = datagramSocket({
        device,
        address: addressBytes(address ?? 0),
        port,
        shared,
        receiveBuffer,
      });
      descriptors.push([address, descriptor]);
      return descriptor;
    };
    try {
      // Alone at first, so that another program's socket on this interface is noticed; then shared with our own.
      setShared(open(null, false), true);
      for (const address of addresses) open(address, true);
      for (const [, descriptor] of descriptors) setShared(descriptor, false);
    } catch (error) {
      for (const [, descriptor] of descriptors) closeDescriptor(descriptor);
      throw await explained(error, device, port);
    }
    for (const [address, descriptor] of descriptors) await this.add(port, address, descriptor);
  }

  /** What waits for an address to be resolved fills the buffer of its socket, so replies have other ones. */
  private async openProber(): Promise<void> {
    const { device } = this.options;
    const wanted = { device, address: addressBytes(0), port: 0, shared: false, receiveBuffer: 65536 };
    this.prober = await adopt(datagramSocket(wanted));
    this.prober.on('error', () => {});
  }

  /** Sends an empty datagram, so that the kernel asks who has `address`. */
  probe(address: Ipv4, port: number): void {
    if (!this.closed) this.prober?.send(new Uint8Array(0), port, formatAddress(address), () => {});
  }

  private async add(port: ServerPort, address: Ipv4 | null | undefined, descriptor: number): Promise<void> {
    const socket = await adopt(descriptor);
    // One that was handed over may lack it (socket(7) SO_BROADCAST).
    socket.setBroadcast(true);
    this.doors.push({ port, address: address ?? null, socket, writer: new DatagramWriter(descriptor) });
    socket.on('error', (error) => this.options.complain(error.message));
    const isOpen = () => !this.closed;
    const take: Take = (bytes, from) => this.options.receive({ port, bytes, from, to: address });
    hear(socket, descriptor, isOpen, take, this.turn);
  }

  private first(port: number): Door | undefined {
    return this.doors.find((door) => door.port === port);
  }

  /** Sends from `from`:`port`. What the network refuses is told to `complain` and to nobody else. */
  send(port: number, from: Ipv4, bytes: Uint8Array, to: { address: Ipv4; port: number }): void {
    if (this.closed) return;
    const door = this.doors.find((one) => one.port === port && one.address === from) ?? this.first(port);
    if (door === undefined) return;
    this.resend.send(
      (done) => {
        const error = door.writer.send(bytes, to.address, to.port);
        // What has to wait for its turn waits in Node.js.
        if (isSystemError(error, 'EAGAIN')) door.socket.send(bytes, to.port, formatAddress(to.address), done);
        else done(error);
      },
      (error, full) => {
        const cause = full
          ? `the queue of ${this.options.device} is full, or the kernel keeps no more neighbours; see bty-web doctor`
          : error.message;
        this.options.complain(`${formatAddress(to.address)}:${to.port} is not reached: ${cause}`);
      },
    );
  }

  close(): void {
    this.closed = true;
    this.resend.close();
    for (const { socket } of this.doors.splice(0)) socket.close();
    this.prober?.close();
    this.prober = null;
  }
}
