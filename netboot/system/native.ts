/**
 * The system calls of the network side that Node.js does not offer, each by its manual page. Linux on x86-64 and
 * arm64, where the numbers below are the same (asm-generic). Nothing is loaded before the first call.
 */
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { loadKoffi } from './addon.ts';

// socket(2), socket(7), ip(7)
const IPPROTO_IP = 0;
const IP_RECVERR = 11;
const SO_ERROR = 4;
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_BROADCAST = 6;
const SO_RCVBUF = 8;
const SO_BINDTODEVICE = 25;
const SO_RCVBUFFORCE = 33;
// fcntl(2)
const F_DUPFD_CLOEXEC = 1030;
// recv(2)
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
// udp(7)
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
// netdevice(7)
const SIOCGIFADDR = 0x8915;
const SIOCGIFNETMASK = 0x891b;
const ifreqBytes = 40;
const longestName = 15;
// prctl(2)
const PR_CAPBSET_DROP = 24;
const PR_SET_KEEPCAPS = 8;
const PR_SET_NO_NEW_PRIVS = 38;
// capset(2)
const LINUX_CAPABILITY_VERSION_3 = 0x20080522;

type Argument = number | Uint8Array | string | null;
type Call = (...args: Argument[]) => number;
interface Koffi {
  load(path: null): { func(name: string, result: string, args: readonly string[]): Call };
  errno(): number;
}
interface Library {
  readonly koffi: Koffi;
  readonly socket: Call;
  readonly setsockopt: Call;
  readonly getsockopt: Call;
  readonly bind: Call;
  readonly close: Call;
  readonly fcntl: Call;
  readonly ioctl: Call;
  readonly recvfrom: Call;
  readonly sendto: Call;
  readonly prctl: Call;
  readonly capset: Call;
}

let loaded: Library | undefined;

function library(): Library {
  if (loaded) return loaded;
  const koffi = loadKoffi() as Koffi;
  const libc = koffi.load(null);
  loaded = {
    koffi,
    socket: libc.func('socket', 'int', ['int', 'int', 'int']),
    setsockopt: libc.func('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'uint32_t']),
    getsockopt: libc.func('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']),
    bind: libc.func('bind', 'int', ['int', 'void *', 'uint32_t']),
    close: libc.func('close', 'int', ['int']),
    sendto: libc.func('sendto', 'long', ['int', 'void *', 'size_t', 'int', 'void *', 'uint32_t']),
    recvfrom: libc.func('recvfrom', 'long', ['int', 'void *', 'size_t', 'int', 'void *', 'void *']),
    // fcntl is variadic in C; the calling conventions of x86-64 and arm64 Linux pass its one long alike.
    fcntl: libc.func('fcntl', 'int', ['int', 'int', 'long']),
    // ioctl is variadic in C; the calling conventions of x86-64 and arm64 Linux pass its one pointer alike.
    ioctl: libc.func('ioctl', 'int', ['int', 'unsigned long', 'void *']),
    // prctl is variadic in C; the calling conventions of x86-64 and arm64 Linux pass its longs alike.
    prctl: libc.func('prctl', 'int', ['int', 'long', 'long', 'long', 'long']),
    capset: libc.func('capset', 'int', ['void *', 'void *']),
  };
  return loaded;
}

function checked(name: string, result: number): number {
  if (result !== -1) return result;
  throw lastError(name);
}

function lastError(name: string): NodeJS.ErrnoException {
  const errno = library().koffi.errno();
  const code = getSystemErrorName(-errno);
  const error: NodeJS.ErrnoException = new Error(`${code}: ${getSystemErrorMessage(-errno)}, ${name}`);
  error.code = code;
  error.errno = -errno;
  error.syscall = name;
  return error;
}

/** True when `error` came from a system call that failed with one of `codes`. */
export function isSystemError(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

function setNumber(descriptor: number, option: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  checked('setsockopt', library().setsockopt(descriptor, SOL_SOCKET, option, bytes, 4));
}

export interface DatagramSocket {
  /** Interface that alone may bring and take datagrams (socket(7) SO_BINDTODEVICE), or null for all. */
  readonly device: string | null;
  /** Four bytes; all zero for every address. */
  readonly address: Uint8Array;
  readonly port: number;
  /** True: the port may be shared with other sockets that agree. */
  readonly shared: boolean;
  /** Wished bytes of the receive buffer. More than net.core.rmem_max is given only to CAP_NET_ADMIN. */
  readonly receiveBuffer: number;
}

/**
 * A UDP socket as a descriptor: socket(2), setsockopt(2), bind(2). Since Linux 5.7 SO_BINDTODEVICE needs no right as
 * long as the socket is not bound to an interface yet; before, it needed CAP_NET_RAW. Ports below 1024 need
 * CAP_NET_BIND_SERVICE. Fails with EADDRINUSE, EACCES, EPERM, ENODEV or EADDRNOTAVAIL.
 */
export function datagramSocket(wanted: DatagramSocket): number {
  const { socket, setsockopt, bind, close } = library();
  const descriptor = checked('socket', socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  try {
    if (wanted.device !== null) {
      const name = Buffer.from(`${wanted.device}\0`);
      checked('setsockopt', setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, name, name.length));
    }
    setNumber(descriptor, SO_BROADCAST, 1);
    if (wanted.shared) setNumber(descriptor, SO_REUSEADDR, 1);
    try {
      setNumber(descriptor, SO_RCVBUFFORCE, wanted.receiveBuffer);
    } catch {
      setNumber(descriptor, SO_RCVBUF, wanted.receiveBuffer);
    }
    // struct sockaddr_in of ip(7): family in host order, port and address in network order.
    const place = Buffer.alloc(16);
    place.writeUInt16LE(AF_INET, 0);
    place.writeUInt16BE(wanted.port, 2);
    place.set(wanted.address, 4);
    checked('bind', bind(descriptor, place, place.length));
    return descriptor;
  } catch (error) {
    close(descriptor);
    throw error;
  }
}

/**
 * First IPv4 address of an interface and its mask, four bytes each, or null: netdevice(7) SIOCGIFADDR. Unlike
 * os.networkInterfaces() it also knows interfaces whose cable leads nowhere yet, as between an appliance and a machine
 * that is still switched off.
 */
export function interfaceAddress(name: string): { address: Uint8Array; mask: Uint8Array } | null {
  if (Buffer.byteLength(name) > longestName) return null;
  const { socket, ioctl, close } = library();
  const descriptor = checked('socket', socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    const ask = (request: number): Uint8Array | null => {
      const ifreq = Buffer.alloc(ifreqBytes);
      ifreq.write(name);
      // struct sockaddr_in lies behind the name (16 bytes); its address behind family and port.
      return ioctl(descriptor, request, ifreq) === 0 ? Uint8Array.from(ifreq.subarray(20, 24)) : null;
    };
    const address = ask(SIOCGIFADDR);
    const mask = ask(SIOCGIFNETMASK);
    return address && mask ? { address, mask } : null;
  } finally {
    close(descriptor);
  }
}

/** Changes whether others may share the port of a bound socket: socket(7) SO_REUSEADDR. */
export function setShared(descriptor: number, shared: boolean): void {
  setNumber(descriptor, SO_REUSEADDR, shared ? 1 : 0);
}

/**
 * udp(7) UDP_SEGMENT: the kernel cuts each longer datagram that is sent into ones of `bytes`. Linux since 4.18; before,
 * ENOPROTOOPT.
 */
export function setSegment(descriptor: number, bytes: number): void {
  const value = Buffer.alloc(4);
  value.writeInt32LE(bytes);
  checked('setsockopt', library().setsockopt(descriptor, SOL_UDP, UDP_SEGMENT, value, 4));
}

export interface ReceivedDatagram {
  readonly bytes: Uint8Array;
  /** IPv4 address of the sender as a number, and its port. */
  readonly address: number;
  readonly port: number;
}

/** recvfrom(2): datagrams that wait at a socket, without waiting for one. */
export class DatagramReader {
  readonly #descriptor: number;
  readonly #recvfrom: Call;
  readonly #buffer: Buffer;
  readonly #place = Buffer.alloc(16);
  readonly #length = Buffer.alloc(4);

  /** `most`: bytes of a datagram that are kept. */
  constructor(descriptor: number, most: number) {
    this.#descriptor = descriptor;
    this.#recvfrom = library().recvfrom;
    this.#buffer = Buffer.alloc(most);
  }

  /** The next one, or null when none waits. */
  next(): ReceivedDatagram | null {
    this.#length.writeUInt32LE(this.#place.length);
    const flags = MSG_DONTWAIT | MSG_TRUNC;
    const buffer = this.#buffer;
    const count = this.#recvfrom(this.#descriptor, buffer, buffer.length, flags, this.#place, this.#length);
    if (count < 0) return null;
    // struct sockaddr_in of ip(7): port and address in network order.
    const [port, address] = [this.#place.readUInt16BE(2), this.#place.readUInt32BE(4)];
    return { bytes: Buffer.from(buffer.subarray(0, Math.min(count, buffer.length))), address, port };
  }
}

const on = Uint8Array.of(1, 0, 0, 0);
const off = Uint8Array.of(0, 0, 0, 0);

/**
 * sendto(2): datagrams that go out at once. Through Node.js each costs several times as much.
 *
 * Linux drops a datagram that it has no room for (a full queue of the interface, a full table of neighbours) and calls
 * it sent, unless the socket wants to hear of errors (ip(7) IP_RECVERR). Then it also hears of every ICMP error that any
 * of its peers ever causes, which would have to be read; so it wants that only while it sends.
 */
export class DatagramWriter {
  readonly #descriptor: number;
  readonly #library: Library;
  readonly #place = Buffer.alloc(16);
  readonly #error = Buffer.alloc(4);
  readonly #length = Uint8Array.of(4, 0, 0, 0);

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    this.#library = library();
    this.#place.writeUInt16LE(AF_INET, 0);
  }

  /** To an IPv4 address as a number. Null when it went out, else why not: EAGAIN where it would have to wait, ENOBUFS. */
  send(bytes: Uint8Array, address: number, port: number): NodeJS.ErrnoException | null {
    // struct sockaddr_in of ip(7): port and address in network order.
    this.#place.writeUInt16BE(port, 2);
    this.#place.writeUInt32BE(address, 4);
    const { sendto, setsockopt, getsockopt } = this.#library;
    const descriptor = this.#descriptor;
    setsockopt(descriptor, IPPROTO_IP, IP_RECVERR, on, 4);
    const sent = sendto(descriptor, bytes, bytes.length, MSG_DONTWAIT, this.#place, 16);
    const error = sent === -1 ? lastError('sendto') : null;
    // Turned off, it forgets what it heard but the last one, which is forgotten by asking for it.
    setsockopt(descriptor, IPPROTO_IP, IP_RECVERR, off, 4);
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, this.#error, this.#length);
    return error;
  }
}

/** Another descriptor of the same file or socket, which programs that are started do not get (fcntl(2)). */
export function duplicate(descriptor: number): number {
  return checked('fcntl', library().fcntl(descriptor, F_DUPFD_CLOEXEC, 3));
}

/** close(2) */
export function closeDescriptor(descriptor: number): void {
  checked('close', library().close(descriptor));
}

/** prctl(2) PR_SET_KEEPCAPS: whether the permitted capabilities survive a change of user. For the calling thread. */
export function keepCapabilities(keep: boolean): void {
  checked('prctl', library().prctl(PR_SET_KEEPCAPS, keep ? 1 : 0, 0, 0, 0));
}

/** prctl(2) PR_CAPBSET_DROP: nobody started by this thread can get the capability again. */
export function dropFromBounding(capability: number): void {
  checked('prctl', library().prctl(PR_CAPBSET_DROP, capability, 0, 0, 0));
}

/** prctl(2) PR_SET_NO_NEW_PRIVS: set-user-ID programs give no rights to what this thread starts. */
export function refuseNewPrivileges(): void {
  checked('prctl', library().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/** capset(2): exactly `capabilities` are permitted and effective, for the calling thread; none are inherited. */
export function setCapabilities(capabilities: readonly number[]): void {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(LINUX_CAPABILITY_VERSION_3, 0);
  const data = Buffer.alloc(24);
  for (const capability of capabilities) {
    const at = capability < 32 ? 0 : 12;
    const bit = (1 << (capability & 31)) >>> 0;
    data.writeUInt32LE((data.readUInt32LE(at) | bit) >>> 0, at);
    data.writeUInt32LE((data.readUInt32LE(at + 4) | bit) >>> 0, at + 4);
  }
  checked('capset', library().capset(header, data));
}
