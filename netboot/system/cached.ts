/** Reads what the system holds in memory, without waiting and without another thread: preadv2(2), RWF_NOWAIT. */
import { loadKoffi } from './addon.ts';

const RWF_NOWAIT = 0x8;

interface Vector {
  readonly base: Uint8Array;
  readonly length: number;
}
type Read = (
  descriptor: number,
  vectors: readonly Vector[],
  count: number,
  position: number,
  flags: number,
) => number;
interface Koffi {
  struct(name: string, fields: Readonly<Record<string, string>>): unknown;
  load(path: null): { func(name: string, result: string, args: readonly string[]): Read };
}

let call: Read | null | undefined;

function prepare(): Read | null {
  if (process.platform !== 'linux') return null;
  try {
    const koffi = loadKoffi() as Koffi;
    koffi.struct('bty_iovec', { base: 'void *', length: 'size_t' });
    return koffi.load(null).func('preadv2', 'int64_t', ['int', 'bty_iovec *', 'int', 'int64_t', 'int']);
  } catch {
    // Without the addon, or with a C library that has no such call, every read is an ordinary one.
    return null;
  }
}

/**
 * Reads into `into` from byte `position` of `descriptor` on as much as lies in memory; null when that is nothing, or
 * nobody can tell: then only an ordinary read knows.
 */
export function readCached(descriptor: number, into: Uint8Array, position: number): number | null {
  if (call === undefined) call = prepare();
  if (call === null) return null;
  const count = call(descriptor, [{ base: into, length: into.length }], 1, position, RWF_NOWAIT);
  // EAGAIN where it lies on the disk only, EOPNOTSUPP where the file system cannot tell; 0 may be the end or neither.
  return count > 0 ? count : null;
}
