/**
 * The system calls by which a process of root becomes one of a user, and by which it hands opened descriptors to
 * another, each by its manual page. Linux on x86-64 and arm64.
 */
import { type Koffi, systemError, systemLibrary } from './native.ts';

// prctl(2)
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
// capset(2)
const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
// socket(2), unix(7), cmsg(3)
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
/** CMSG_LEN and CMSG_SPACE of one descriptor where a size_t has 8 bytes. */
const messageLength = 20;
const messageSpace = 24;
// fcntl(2)
const F_SETFD = 2;

export interface Account {
  readonly name: string;
  readonly uid: number;
  /** Primary group. */
  readonly gid: number;
  readonly home: string;
}

interface Message {
  readonly name: null;
  readonly namelen: number;
  readonly iov: readonly { readonly base: Uint8Array; readonly len: number }[];
  readonly iovlen: number;
  readonly control: Uint8Array;
  readonly controllen: number;
  readonly flags: number;
}

interface Calls {
  readonly koffi: Koffi;
  readonly prctl: (...words: readonly number[]) => number;
  readonly capset: (header: Uint8Array, data: Uint8Array) => number;
  readonly socketpair: (domain: number, type: number, protocol: number, ends: Uint8Array) => number;
  readonly sendmsg: (socket: number, message: Message, flags: number) => number;
  readonly recvmsg: (socket: number, message: Message, flags: number) => number;
  readonly fcntl: (descriptor: number, command: number, word: number) => number;
  readonly dup2: (descriptor: number, onto: number) => number;
  readonly getpwuid: (uid: number) => unknown;
  readonly passwd: unknown;
}

let loaded: Calls | undefined;

function calls(): Calls {
  if (loaded) return loaded;
  const koffi = systemLibrary();
  const libc = koffi.load(null);
  koffi.struct('bty_iovec', { base: 'void *', len: 'size_t' });
  koffi.struct('bty_msghdr', {
    name: 'void *',
    namelen: 'uint32_t',
    iov: 'bty_iovec *',
    iovlen: 'size_t',
    control: 'void *',
    controllen: 'size_t',
    flags: 'int',
  });
  // <pwd.h> of the GNU C library and of musl
  const passwd = koffi.struct('bty_passwd', {
    name: 'const char *',
    password: 'const char *',
    uid: 'uint32_t',
    gid: 'uint32_t',
    comment: 'const char *',
    home: 'const char *',
    shell: 'const char *',
  });
  const func = (name: string, result: string, args: readonly string[]) => libc.func(name, result, args);
  loaded = {
    koffi,
    passwd,
    // Variadic in C; the calling conventions of x86-64 and arm64 Linux pass these words alike.
    prctl: func('prctl', 'int', ['int', 'long', 'long', 'long', 'long']) as Calls['prctl'],
    capset: func('capset', 'int', ['void *', 'void *']) as Calls['capset'],
    socketpair: func('socketpair', 'int', ['int', 'int', 'int', 'void *']) as Calls['socketpair'],
    sendmsg: func('sendmsg', 'int64_t', ['int', 'bty_msghdr *', 'int']) as unknown as Calls['sendmsg'],
    recvmsg: func('recvmsg', 'int64_t', ['int', 'bty_msghdr *', 'int']) as unknown as Calls['recvmsg'],
    fcntl: func('fcntl', 'int', ['int', 'int', 'long']) as Calls['fcntl'],
    dup2: func('dup2', 'int', ['int', 'int']) as Calls['dup2'],
    getpwuid: func('getpwuid', 'void *', ['uint32_t']) as unknown as Calls['getpwuid'],
  };
  return loaded;
}

function check(result: number, name: string): number {
  if (result === -1) throw systemError(calls().koffi.errno(), name);
  return result;
}

/** getpwuid(3): the account of `uid`, null when the system knows none. */
export function accountOf(uid: number): Account | null {
  const { koffi, getpwuid, passwd } = calls();
  const found = getpwuid(uid);
  if (!found) return null;
  const { name, gid, home } = koffi.decode(found, passwd) as Account;
  return { name, uid, gid, home };
}

/** prctl(2) PR_SET_NO_NEW_PRIVS: no program that this thread executes gains rights. For good, and inherited. */
export function forbidNewPrivileges(): void {
  check(calls().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'prctl PR_SET_NO_NEW_PRIVS');
}

/**
 * prctl(2) PR_CAPBSET_DROP: takes all capabilities but `kept` (their numbers) from those that this thread, or what
 * it executes, can ever have.
 */
export function boundCapabilities(kept: readonly number[]): void {
  const { prctl, koffi } = calls();
  for (let capability = 0; capability < 64; capability++) {
    if (kept.includes(capability) || prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) === 0) continue;
    const error = systemError(koffi.errno(), 'prctl PR_CAPBSET_DROP');
    if (error.code === 'EINVAL') return; // the first number that the kernel does not know
    throw error;
  }
}

/** capset(2): gives up all capabilities of this thread. */
export function dropCapabilities(): void {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(LINUX_CAPABILITY_VERSION_3, 0);
  check(calls().capset(header, Buffer.alloc(24)), 'capset');
}

export type Pair = readonly [number, number];

/** socketpair(2): two connected sockets, for bytes in a stream or for whole messages. */
export function socketPair(kind: 'stream' | 'messages'): Pair {
  const ends = Buffer.alloc(8);
  const type = (kind === 'stream' ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC;
  check(calls().socketpair(AF_UNIX, type, 0, ends), 'socketpair');
  return [ends.readInt32LE(0), ends.readInt32LE(4)];
}

/** fcntl(2) F_SETFD: lets the program that this process executes keep `descriptor`. */
export function keepAcrossExec(descriptor: number): void {
  check(calls().fcntl(descriptor, F_SETFD, 0), 'fcntl F_SETFD');
}

/** dup2(2): makes `onto` another name of `descriptor`. */
export function putOnto(descriptor: number, onto: number): void {
  check(calls().dup2(descriptor, onto), 'dup2');
}

function message(byte: Uint8Array, control: Uint8Array): Message {
  const iov = [{ base: byte, len: 1 }];
  return { name: null, namelen: 0, iov, iovlen: 1, control, controllen: control.length, flags: 0 };
}

/** sendmsg(2) with SCM_RIGHTS: sends `descriptor` with one byte over a socket of `socketPair('messages')`. */
export function sendDescriptor(socket: number, descriptor: number, byte: number): void {
  const control = Buffer.alloc(messageSpace);
  control.writeBigUInt64LE(BigInt(messageLength), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  control.writeInt32LE(descriptor, 16);
  const sent = calls().sendmsg(socket, message(Buffer.from([byte]), control), MSG_DONTWAIT | MSG_NOSIGNAL);
  check(sent, 'sendmsg');
}

/**
 * recvmsg(2): the next descriptor, which was sent already, and its byte. Throws EAGAIN when none was sent, EPROTO when
 * something else was.
 */
export function receiveDescriptor(socket: number): { readonly descriptor: number; readonly byte: number } {
  const control = Buffer.alloc(messageSpace);
  const byte = Buffer.alloc(1);
  const count = check(
    calls().recvmsg(socket, message(byte, control), MSG_DONTWAIT | MSG_CMSG_CLOEXEC),
    'recvmsg',
  );
  const fits =
    count === 1 &&
    control.readBigUInt64LE(0) === BigInt(messageLength) &&
    control.readInt32LE(8) === SOL_SOCKET &&
    control.readInt32LE(12) === SCM_RIGHTS;
  if (!fits) throw systemError(71, 'recvmsg'); // EPROTO
  return { descriptor: control.readInt32LE(16), byte: byte[0] ?? 0 };
}
