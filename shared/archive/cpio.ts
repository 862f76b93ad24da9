/** Archives that the Linux kernel unpacks into its first root: cpio in the "newc" form (kernel: initramfs buffer format). */

/** What an archive holds, in this order: a directory before what lies in it. */
export type CpioEntry =
  | { readonly kind: 'directory'; readonly name: string; readonly mode: number }
  | { readonly kind: 'file'; readonly name: string; readonly mode: number; readonly content: Uint8Array }
  | { readonly kind: 'link'; readonly name: string; readonly to: string }
  | {
      readonly kind: 'character';
      readonly name: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

const typeBits = { directory: 0o040000, file: 0o100000, link: 0o120000, character: 0o020000 } as const;
/** The kernel finds a second archive behind a first one only on a multiple of four bytes. */
const align = 4;
/** Archives end on a block, so that any number of them may stand behind one another. */
const block = 512;

/** The bytes of `entries`, in pieces: header, name and content of each. Same entries, same bytes. */
export function* cpioPieces(entries: Iterable<CpioEntry>): Generator<Uint8Array> {
  let position = 0;
  let inode = 1;
  for (const entry of entries) {
    const content = contentOf(entry);
    const header = headerOf(entry, inode++, content.length);
    const tail = new Uint8Array(padding(content.length, align));
    yield header;
    yield content;
    if (tail.length > 0) yield tail;
    position += header.length + content.length + tail.length;
  }
  const trailer = headerOf({ kind: 'file', name: 'TRAILER!!!', mode: 0, content: new Uint8Array() }, 0, 0);
  yield trailer;
  yield new Uint8Array(padding(position + trailer.length, block));
}

/** The whole archive of `entries`, a multiple of 512 bytes long. */
export function cpio(entries: Iterable<CpioEntry>): Uint8Array {
  const pieces = [...cpioPieces(entries)];
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let position = 0;
  for (const piece of pieces) {
    bytes.set(piece, position);
    position += piece.length;
  }
  return bytes;
}

/** An archive with the one file `path` (without a leading slash, its folders made) that only root may read. */
export function cpioOfFile(path: string, content: Uint8Array): Uint8Array {
  const folders = path.split('/').slice(0, -1);
  return cpio([
    ...folders.map((_name, index): CpioEntry => {
      return { kind: 'directory', name: folders.slice(0, index + 1).join('/'), mode: 0o755 };
    }),
    { kind: 'file', name: path, mode: 0o600, content },
  ]);
}

function contentOf(entry: CpioEntry): Uint8Array {
  if (entry.kind === 'file') return entry.content;
  return entry.kind === 'link' ? new TextEncoder().encode(entry.to) : new Uint8Array();
}

function headerOf(entry: CpioEntry, inode: number, size: number): Uint8Array {
  const name = new TextEncoder().encode(`${entry.name}\0`);
  const trailer = entry.kind === 'file' && entry.mode === 0 && inode === 0;
  const mode = trailer ? 0 : typeBits[entry.kind] | (entry.kind === 'link' ? 0o777 : entry.mode);
  const { major, minor } = entry.kind === 'character' ? entry : { major: 0, minor: 0 };
  const links = entry.kind === 'directory' ? 2 : 1;
  // inode, mode, uid, gid, links, time, size, device (2), device of a special file (2), name's length, checksum
  const fields = [inode, mode, 0, 0, links, 0, size, 0, 0, major, minor, name.length, 0];
  const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  const bytes = new Uint8Array(head.length + name.length + padding(head.length + name.length, align));
  bytes.set(new TextEncoder().encode(head));
  bytes.set(name, head.length);
  return bytes;
}

function padding(length: number, to: number): number {
  return (to - (length % to)) % to;
}
