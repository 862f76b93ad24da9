/** Label of a ZFS pool member: name-value pairs in XDR (RFC 4506) at byte 16384 (ZFS on-disk specification, 1.3). */

import { label, u8, u32be } from './bytes.ts';
import type { Filesystem } from './superblocks.ts';

const START = 16 * 1024;
const LENGTH = 112 * 1024;
const UINT64 = 8;
const STRING = 9;

/** The pool in the first label of `bytes`; its name is the label, its GUID (decimal, as zpool prints it) the uuid. */
export function zfsMember(bytes: Uint8Array): Filesystem | null {
  // Encoding 1 (XDR), then the byte order of the machine, then two reserved bytes, then version 0.
  if (u8(bytes, START) !== 1 || u8(bytes, START + 1) > 1 || u32be(bytes, START + 4) !== 0) return null;
  let name: string | null = null;
  let guid: string | null = null;
  const end = Math.min(START + LENGTH, bytes.length);
  for (let at = START + 12; at + 16 <= end; ) {
    const size = u32be(bytes, at);
    if (size < 20 || size > end - at) break;
    const nameLength = u32be(bytes, at + 8);
    const key = label(bytes, at + 12, Math.min(nameLength, 32), 'latin1');
    const value = at + 12 + Math.ceil(nameLength / 4) * 4;
    if (nameLength > 256 || value + 8 > end) break;
    const type = u32be(bytes, value);
    if (key === 'name' && type === STRING) {
      name = label(bytes, value + 12, Math.min(u32be(bytes, value + 8), 256));
    }
    if (key === 'pool_guid' && type === UINT64) {
      guid = ((BigInt(u32be(bytes, value + 8)) << 32n) | BigInt(u32be(bytes, value + 12))).toString();
    }
    at += size;
  }
  return guid === null ? null : { kind: 'zfs_member', label: name, uuid: guid };
}
