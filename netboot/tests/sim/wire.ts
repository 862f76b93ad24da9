/** The network of the pretended machines: one socket for their broadcasts, and an address of this host for each. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { hear } from '../../dhcp/inlet.ts';
import { adopt } from '../../dhcp/link.ts';
import { type Packet, parse } from '../../dhcp/packet.ts';
import { loadKoffi } from '../../system/addon.ts';
import { datagramSocket } from '../../system/native.ts';

export interface Wire {
  /** Sends a DHCP packet as a broadcast. */
  send(bytes: Uint8Array): void;
  /** Answers to `xid` until they are `enough`, else those that came within `milliseconds`. */
  answers(
    xid: number,
    milliseconds: number,
    enough: (packets: readonly Packet[]) => boolean,
  ): Promise<readonly Packet[]>;
  /** Makes an address that was leased one from which this host speaks, and asks from it where `server` is. */
  claim(address: string, server: string): Promise<void>;
  close(): void;
}

// packet(7), arp(7)
const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const ETH_P_ARP = 0x0806;

const bytesOfAddress = (text: string) => Uint8Array.from(text.split('.').map(Number));

/**
 * Asks who has an address, as each machine does before its first packet to it. The one that is asked learns from the
 * question where the asker is. Machines here share one host, which knows the way already and would not ask again.
 */
class Announcer {
  readonly #send: (from: string, target: string) => void;

  constructor(device: string) {
    const koffi = loadKoffi() as {
      load(path: null): {
        func(name: string, result: string, args: string[]): (...args: unknown[]) => number;
      };
    };
    const libc = koffi.load(null);
    const socket = libc.func('socket', 'int', ['int', 'int', 'int']);
    const sendto = libc.func('sendto', 'long', ['int', 'void *', 'size_t', 'int', 'void *', 'uint32_t']);
    const descriptor = socket(AF_PACKET, SOCK_DGRAM, 0);
    if (descriptor < 0) throw new Error('a packet socket needs CAP_NET_RAW');
    const told = (name: string) => readFileSync(`/sys/class/net/${device}/${name}`, 'utf8').trim();
    const mac = Buffer.from(told('address').replaceAll(':', ''), 'hex');
    // struct sockaddr_ll: family, protocol, index, hardware type, packet type, length of the address, address.
    const place = Buffer.alloc(20);
    place.writeUInt16LE(AF_PACKET, 0);
    place.writeUInt16BE(ETH_P_ARP, 2);
    place.writeInt32LE(Number(told('ifindex')), 4);
    place.writeUInt8(6, 11);
    place.fill(0xff, 12, 18);
    this.#send = (from, target) => {
      const head = [0, 1, 8, 0, 6, 4, 0, 1, ...mac, ...bytesOfAddress(from)];
      const question = Uint8Array.from([...head, 0, 0, 0, 0, 0, 0, ...bytesOfAddress(target)]);
      sendto(descriptor, question, question.length, 0, place, place.length);
    };
  }

  ask(from: string, target: string): void {
    this.#send(from, target);
  }
}

const receiveBuffer = 8 << 20;
/** Claims are gathered for this long, in milliseconds: one program call makes many addresses. */
const gather = 30;

async function makeLocal(addresses: readonly string[]): Promise<void> {
  const child = spawn('ip', ['-batch', '-'], { stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.end(addresses.map((address) => `route replace local ${address}/32 dev lo\n`).join(''));
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code !== 0) throw new Error('addresses could not be made local (this needs CAP_NET_ADMIN)');
}

/** `device`: the interface that leads to the appliance. */
export async function openWire(device: string): Promise<Wire> {
  const announcer = new Announcer(device);
  const any = new Uint8Array(4);
  const descriptor = datagramSocket({ device: null, address: any, port: 68, shared: false, receiveBuffer });
  const socket = await adopt(descriptor);
  let isOpen = true;
  const waiting = new Map<number, (packet: Packet) => void>();
  const isHeard = () => isOpen;
  hear(socket, descriptor, isHeard, (bytes) => {
    const read = parse(bytes);
    if (read.kind === 'packet' && read.packet.op === 2) waiting.get(read.packet.xid)?.(read.packet);
  });
  let claims: { readonly addresses: string[]; readonly made: Promise<void> } | null = null;
  const local = new Set<string>();
  return {
    send: (bytes) => socket.send(bytes, 67, '255.255.255.255', () => undefined),
    answers: (xid, milliseconds, enough) =>
      new Promise((resolve) => {
        const packets: Packet[] = [];
        const settle = () => {
          clearTimeout(timer);
          waiting.delete(xid);
          resolve(packets);
        };
        // What has come already is read first: this program may be late, which a machine is not.
        const timer = setTimeout(() => setImmediate(settle), milliseconds);
        waiting.set(xid, (packet) => {
          packets.push(packet);
          if (enough(packets)) settle();
        });
      }),
    claim: async (address, server) => {
      if (!local.has(address)) {
        if (claims === null) {
          const addresses: string[] = [];
          const made = pause(gather).then(() => {
            claims = null;
            return makeLocal(addresses);
          });
          claims = { addresses, made };
        }
        claims.addresses.push(address);
        await claims.made;
        local.add(address);
      }
      announcer.ask(address, server);
    },
    close: () => {
      isOpen = false;
      socket.close();
    },
  };
}
