/** Writes a cpio archive in the "newc" form that the Linux kernel unpacks (Documentation/driver-api/early-userspace). */
import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';

/** What an initramfs holds: by absolute path in it. */
export type Member =
  | { readonly kind: 'folder' }
  /** A file with the content of one on this machine. */
  | { readonly kind: 'copy'; readonly from: string }
  | { readonly kind: 'file'; readonly content: string | Uint8Array }
  | { readonly kind: 'link'; readonly to: string }
  /** A character device. */
  | { readonly kind: 'device'; readonly major: number; readonly minor: number };

const type = { folder: 0o040000, copy: 0o100000, file: 0o100000, link: 0o120000, device: 0o020000 } as const;

/** Writes `members`, and the folders above them, to the file `path`. */
export async function writeArchive(path: string, members: ReadonlyMap<string, Member>): Promise<void> {
  const all = new Map<string, Member>();
  for (const [name, member] of members) {
    const above: string[] = [];
    for (let folder = dirname(name); folder !== '/'; folder = dirname(folder)) above.unshift(folder);
    for (const folder of above) if (!members.has(folder)) all.set(folder, { kind: 'folder' });
    all.set(name, member);
  }
  const out = createWriteStream(path);
  let inode = 1;
  for (const [name, member] of all) await writeMember(out, inode++, name, member);
  await put(out, header(0, 0, 0, 'TRAILER!!!', null));
  out.end();
  await finished(out);
}

async function writeMember(out: Writable, inode: number, name: string, member: Member): Promise<void> {
  const mode = type[member.kind] | (member.kind === 'device' ? 0o600 : 0o755);
  if (member.kind === 'copy') {
    const file = await open(member.from);
    try {
      const { size } = await file.stat();
      await put(out, header(inode, mode, size, name, null));
      for await (const chunk of file.createReadStream({ autoClose: false, highWaterMark: 1 << 20 }))
        await put(out, chunk as Buffer);
      await put(out, padding(size));
    } finally {
      await file.close();
    }
    return;
  }
  const content = Buffer.from(
    member.kind === 'file' ? member.content : member.kind === 'link' ? member.to : '',
  );
  await put(out, header(inode, mode, content.length, name, member.kind === 'device' ? member : null));
  await put(out, Buffer.concat([content, padding(content.length)]));
}

/** A header with its name, padded to four bytes: 14 numbers of eight hexadecimal digits. */
function header(
  inode: number,
  mode: number,
  size: number,
  name: string,
  device: { readonly major: number; readonly minor: number } | null,
): Buffer {
  const title = Buffer.from(`${name.replace(/^\//, '')}\0`);
  const numbers = [inode, mode, 0, 0, 1, 0, size, 0, 0, device?.major ?? 0, device?.minor ?? 0];
  const digits = [...numbers, title.length, 0].map((number) => number.toString(16).padStart(8, '0'));
  const start = Buffer.concat([Buffer.from(`070701${digits.join('')}`), title]);
  return Buffer.concat([start, padding(start.length)]);
}

function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}

async function put(out: Writable, bytes: Buffer): Promise<void> {
  if (bytes.length === 0 || out.write(bytes)) return;
  await new Promise((resolve) => out.once('drain', resolve));
}
