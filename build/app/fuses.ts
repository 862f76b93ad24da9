import { createReadStream } from 'node:fs';

/**
 * The fuses of a packed Electron, read from its executable: bytes behind a sentinel that say what it can still be made
 * to do (electronjs.org/docs/latest/tutorial/fuses). In the order of their wire.
 */
export const fuseNames = [
  'runAsNode',
  'enableCookieEncryption',
  'enableNodeOptionsEnvironmentVariable',
  'enableNodeCliInspectArguments',
  'enableEmbeddedAsarIntegrityValidation',
  'onlyLoadAppFromAsar',
  'loadBrowserProcessSpecificV8Snapshot',
  'grantFileProtocolExtraPrivileges',
] as const;
export type FuseName = (typeof fuseNames)[number];

const sentinel = Buffer.from('dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX', 'latin1');
/** Bytes of version and length between the sentinel and the wire. */
const head = 2;
const most = 64;

/** Fuses that this Electron has, and whether each is on. Rejects when the file is no Electron. */
export async function readFuses(executable: string): Promise<Readonly<Partial<Record<FuseName, boolean>>>> {
  let kept: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(executable, {
    highWaterMark: 4 << 20,
  }) as AsyncIterable<Buffer>) {
    const window = Buffer.concat([kept, chunk]);
    const at = window.indexOf(sentinel);
    if (at !== -1 && at + sentinel.length + head + most <= window.length)
      return wireAt(window, at + sentinel.length);
    kept = window.subarray(Math.max(0, window.length - sentinel.length - head - most));
  }
  throw new Error(`${executable} has no fuses: it is no Electron.`);
}

function wireAt(bytes: Buffer, at: number): Readonly<Partial<Record<FuseName, boolean>>> {
  const [version, length = 0] = bytes.subarray(at, at + head);
  if (version !== 1) throw new Error(`a fuse wire of version ${version}, of which nothing is known`);
  const wire = bytes.subarray(at + head, at + head + Math.min(length, most)).toString('latin1');
  return Object.fromEntries(
    fuseNames.slice(0, wire.length).map((name, index) => [name, wire[index] === '1']),
  );
}
