/** Looks for other DHCP servers on an interface: a DISCOVER of our own, and who offers an address. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { datagramSocket } from '../system/native.ts';
import { everyone, formatAddress, type Ipv4, parseAddress, parseHardware } from './address.ts';
import { adopt } from './link.ts';
import { addressBytes, addressIn, byteIn, MessageType, Option } from './option.ts';
import { broadcastFlag, encode, parse } from './packet.ts';

const clientPort = 68;
const serverPort = 67;
/** Milliseconds: servers that ping an address before they offer it need one to three seconds. */
const patience = 3500;
const repeat = 1200;
/** After the first offer others have this long. */
const grace = 300;

export interface Search {
  readonly device: string;
  /** Hardware address of the interface: switches that watch DHCP drop requests with another one. */
  readonly mac: string;
  readonly own: readonly Ipv4[];
  readonly signal?: AbortSignal;
  /** Told the number of our DISCOVER before it is sent, since it comes back to our own server. */
  readonly announce?: (xid: number) => void;
}

function discover(mac: Uint8Array, xid: number): Uint8Array {
  const chaddr = new Uint8Array(16);
  chaddr.set(mac);
  const zero = { hops: 0, secs: 0, ciaddr: 0, yiaddr: 0, siaddr: 0, giaddr: 0, sname: '', file: '' };
  const options = new Map([
    [Option.messageType, Uint8Array.of(MessageType.discover)],
    [Option.parameterList, Uint8Array.of(Option.subnetMask, Option.router)],
  ]);
  const fixed = { op: 1, htype: 1, hlen: 6, flags: broadcastFlag };
  return encode({ ...zero, ...fixed, xid, chaddr, options }, { maximum: 548, overload: false }).bytes;
}

/** Addresses of servers that offered one, by what they say they are, else by where they sent from. */
export async function findServers(search: Search): Promise<readonly string[]> {
  const { device, own, signal } = search;
  const mac = parseHardware(search.mac);
  if (mac === null) return [];
  // Broadcasts reach every socket of port 68, so the host's own DHCP client is not disturbed.
  const descriptor = datagramSocket({
    device,
    address: addressBytes(0),
    port: clientPort,
    shared: true,
    receiveBuffer: 65536,
  });
  const socket = await adopt(descriptor);
  const found = new Set<string>();
  const xid = randomInt(1, 2 ** 32 - 1);
  search.announce?.(xid);
  const ended = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  socket.on('error', () => {});
  socket.on('message', (bytes, from) => {
    const result = parse(bytes);
    if (result.kind === 'malformed' || result.packet.op !== 2 || result.packet.xid !== xid) return;
    const { options, yiaddr } = result.packet;
    const server = addressIn(options, Option.serverIdentifier) ?? parseAddress(from.address) ?? 0;
    const isOffer = byteIn(options, Option.messageType) === MessageType.offer;
    if (!isOffer || yiaddr === 0 || own.includes(server) || found.size >= 16) return;
    found.add(formatAddress(server));
    timer ??= setTimeout(() => ended.abort(), grace);
  });
  const send = () => void socket.send(discover(mac, xid), serverPort, formatAddress(everyone), () => {});
  const again = setInterval(send, repeat);
  try {
    send();
    const limits = [ended.signal, AbortSignal.timeout(patience), ...(signal ? [signal] : [])];
    await once(socket, 'close', { signal: AbortSignal.any(limits) }).catch(() => {});
  } finally {
    clearInterval(again);
    clearTimeout(timer);
    socket.close();
  }
  return [...found];
}
