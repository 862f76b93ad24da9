/**
 * Read-only file systems that Linux mounts and unpacks as they are read: squashfs 4.0 (kernel: Documentation/filesystems/
 * squashfs.rst and fs/squashfs/squashfs_fs.h), its data packed by zstd. Same entries and options, same bytes.
 */
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import type { CpioEntry } from '../../shared/archive/cpio.ts';

export interface SquashfsOptions {
  /** Bytes that are packed together, and unpacked to read one of them: a power of two from 4096 to 1 MiB. */
  readonly blockBytes: number;
  /** Level of zstd, 1 to 22. */
  readonly level: number;
}

interface Folder {
  readonly kind: 'directory';
  mode: number;
  readonly children: Map<string, Node>;
}
interface File {
  readonly kind: 'file';
  readonly mode: number;
  readonly content: Uint8Array;
}
interface Link {
  readonly kind: 'link';
  readonly to: string;
}
type Node = Folder | File | Link;

/** Where a file's bytes lie: blocks of its own, or a part of a block that several share. */
type Stored =
  | { readonly kind: 'blocks'; readonly start: number; readonly sizes: readonly number[] }
  | { readonly kind: 'shared'; readonly index: number; readonly offset: number };

const magic = 0x73717368;
const zstd = 6;
const superblockBytes = 96;
/** Inodes and directories lie in blocks of this size, each behind two bytes that tell its length. */
const metadataBytes = 8192;
const metadataAsItIs = 0x8000;
const blockAsItIs = 1 << 24;
/** Inodes and numbers of owners are not packed; nothing has extended attributes. */
const flags = 0x0001 | 0x0200 | 0x0800;
const noFragment = 0xffff_ffff;
const noTable = 0xffff_ffff_ffff_ffffn;
/** Entries that one head of a directory's list may count. */
const mostInRun = 256;
/** Disks are read in whole blocks of the loop device's. */
const align = 4096;
const types = { directory: 1, file: 2, link: 3 } as const;

/** The file system with `entries`, all of them root's and of 1970; a multiple of 4096 bytes long. */
export async function squashfs(
  entries: Iterable<CpioEntry>,
  { blockBytes, level }: SquashfsOptions,
): Promise<Uint8Array> {
  const root = treeOf(entries);
  const data = await storeFiles(filesOf(root), blockBytes, level);
  const tables = new Tables(data.places);
  const rootPlace = tables.write(root);
  const parts: Uint8Array[] = [...data.pieces];
  let position = superblockBytes + data.pieces.reduce((sum, { length }) => sum + length, 0);
  const add = (bytes: Uint8Array): number => {
    const at = position;
    parts.push(bytes);
    position += bytes.length;
    return at;
  };
  const inodes = add(tables.inodes.bytes());
  const directories = add(tables.directories.bytes());
  const hasFragments = data.fragments.length > 0;
  const fragments = hasFragments ? BigInt(addIndexed(fragmentTable(data.fragments), add)) : noTable;
  const owners = addIndexed(Buffer.alloc(4), add);
  const head = Buffer.alloc(superblockBytes);
  head.writeUInt32LE(magic, 0);
  head.writeUInt32LE(tables.count, 4);
  head.writeUInt32LE(blockBytes, 12);
  head.writeUInt32LE(data.fragments.length, 16);
  head.writeUInt16LE(zstd, 20);
  head.writeUInt16LE(Math.log2(blockBytes), 22);
  head.writeUInt16LE(hasFragments ? flags : flags | 0x0010, 24);
  // One owner, version 4.0.
  head.writeUInt16LE(1, 26);
  head.writeUInt16LE(4, 28);
  head.writeBigUInt64LE((BigInt(rootPlace.block) << 16n) | BigInt(rootPlace.offset), 32);
  head.writeBigUInt64LE(BigInt(position), 40);
  head.writeBigUInt64LE(BigInt(owners), 48);
  head.writeBigUInt64LE(noTable, 56);
  head.writeBigUInt64LE(BigInt(inodes), 64);
  head.writeBigUInt64LE(BigInt(directories), 72);
  head.writeBigUInt64LE(fragments, 80);
  head.writeBigUInt64LE(noTable, 88);
  return Buffer.concat([head, ...parts, new Uint8Array(-position & (align - 1))]);
}

/** Adds a table and behind it where its blocks begin; that is what the head names. */
function addIndexed(content: Uint8Array, add: (bytes: Uint8Array) => number): number {
  const start = add(metadata(content));
  const index = Buffer.alloc(Math.ceil(content.length / metadataBytes) * 8);
  for (let block = 0; block * 8 < index.length; block++)
    index.writeBigUInt64LE(BigInt(start + block * (metadataBytes + 2)), block * 8);
  return add(index);
}

function metadata(content: Uint8Array): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += metadataBytes) {
    const piece = content.subarray(at, at + metadataBytes);
    const head = Buffer.alloc(2);
    head.writeUInt16LE(piece.length | metadataAsItIs);
    pieces.push(head, piece);
  }
  return Buffer.concat(pieces);
}

function treeOf(entries: Iterable<CpioEntry>): Folder {
  const root: Folder = { kind: 'directory', mode: 0o755, children: new Map() };
  for (const entry of entries) {
    const names = entry.name.split('/').filter((name) => name !== '' && name !== '.');
    const last = names.pop();
    let folder = root;
    for (const name of names) {
      const child: Node = folder.children.get(name) ?? {
        kind: 'directory',
        mode: 0o755,
        children: new Map(),
      };
      if (child.kind !== 'directory') throw new Error(`${entry.name} lies in what is no folder`);
      folder.children.set(name, child);
      folder = child;
    }
    if (last === undefined) continue;
    const known = folder.children.get(last);
    if (entry.kind === 'character') throw new Error(`${entry.name}: devices have no place here`);
    if (entry.kind === 'directory') {
      if (known?.kind === 'directory') known.mode = entry.mode;
      else folder.children.set(last, { kind: 'directory', mode: entry.mode, children: new Map() });
    } else folder.children.set(last, entry);
  }
  return root;
}

/** Children in the order in which the kernel looks for a name: that of its bytes. */
const childrenOf = ({ children }: Folder): readonly (readonly [string, Node])[] =>
  [...children].sort(([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)));

function* filesOf(folder: Folder): Generator<File> {
  for (const [, child] of childrenOf(folder)) {
    if (child.kind === 'file') yield child;
    else if (child.kind === 'directory') yield* filesOf(child);
  }
}

interface Fragment {
  readonly start: number;
  readonly size: number;
}

interface Data {
  readonly pieces: readonly Uint8Array[];
  readonly places: ReadonlyMap<File, Stored>;
  readonly fragments: readonly Fragment[];
}

/** Files of at least one block have their own; smaller ones share, in their order. */
async function storeFiles(files: Iterable<File>, blockBytes: number, level: number): Promise<Data> {
  const blocks: Uint8Array[] = [];
  const own = new Map<File, { readonly first: number; readonly count: number }>();
  const shared = new Map<File, { readonly index: number; readonly offset: number }>();
  const full: Uint8Array[][] = [];
  let open: Uint8Array[] = [];
  let length = 0;
  for (const file of files) {
    const { content } = file;
    if (content.length === 0 || content.length >= blockBytes) {
      own.set(file, { first: blocks.length, count: Math.ceil(content.length / blockBytes) });
      for (let at = 0; at < content.length; at += blockBytes)
        blocks.push(content.subarray(at, at + blockBytes));
      continue;
    }
    if (length + content.length > blockBytes) {
      full.push(open);
      [open, length] = [[], 0];
    }
    shared.set(file, { index: full.length, offset: length });
    open.push(content);
    length += content.length;
  }
  if (length > 0) full.push(open);
  const packed = await packAll(
    [...blocks, ...full.map((pieces) => Buffer.concat(pieces))],
    blockBytes,
    level,
  );
  const starts: number[] = [];
  let position = superblockBytes;
  for (const { bytes } of packed) {
    starts.push(position);
    position += bytes.length;
  }
  const sizeOf = ({ bytes, isPacked }: Packed) => (isPacked ? bytes.length : bytes.length | blockAsItIs);
  const places = new Map<File, Stored>();
  for (const [file, place] of shared) places.set(file, { kind: 'shared', ...place });
  for (const [file, { first, count }] of own) {
    const sizes = packed.slice(first, first + count).map(sizeOf);
    places.set(file, { kind: 'blocks', start: count === 0 ? 0 : (starts[first] ?? 0), sizes });
  }
  const fragments = packed.slice(blocks.length).map((each, index) => {
    return { start: starts[blocks.length + index] ?? 0, size: sizeOf(each) };
  });
  return { pieces: packed.map(({ bytes }) => bytes), places, fragments };
}

interface Packed {
  readonly bytes: Uint8Array;
  readonly isPacked: boolean;
}

async function packAll(blocks: readonly Uint8Array[], blockBytes: number, level: number): Promise<Packed[]> {
  const compress = promisify(zstdCompress);
  const params = {
    [constants.ZSTD_c_compressionLevel]: level,
    // The kernel has memory for one block, and takes no frame that looks back further.
    [constants.ZSTD_c_windowLog]: Math.log2(blockBytes),
    // A checksum may begin behind the page that the kernel reads last.
    [constants.ZSTD_c_checksumFlag]: 0,
  };
  const packed: Packed[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < blocks.length; index = next++) {
      const block = blocks[index] ?? new Uint8Array();
      const bytes = await compress(block, { params, chunkSize: blockBytes });
      const isPacked = bytes.length < block.length;
      packed[index] = { bytes: isPacked ? bytes : block, isPacked };
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return packed;
}

function fragmentTable(fragments: readonly Fragment[]): Uint8Array {
  const table = Buffer.alloc(fragments.length * 16);
  for (const [index, { start, size }] of fragments.entries()) {
    table.writeBigUInt64LE(BigInt(start), index * 16);
    table.writeUInt32LE(size, index * 16 + 8);
  }
  return table;
}

/** Where something begins in a table: its block, from the table's start, and the byte in the unpacked block. */
interface Place {
  readonly block: number;
  readonly offset: number;
}

class Table {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  get place(): Place {
    const block = Math.floor(this.#length / metadataBytes);
    return { block: block * (metadataBytes + 2), offset: this.#length % metadataBytes };
  }

  add(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
  }

  bytes(): Uint8Array {
    return metadata(Buffer.concat(this.#pieces));
  }
}

interface Listed {
  readonly name: string;
  readonly type: number;
  readonly inode: number;
  readonly place: Place;
}

/** Inodes and lists of directories: what lies in a folder before the folder. */
class Tables {
  readonly inodes = new Table();
  readonly directories = new Table();
  readonly #places: ReadonlyMap<File, Stored>;
  #numbers = 0;

  constructor(places: ReadonlyMap<File, Stored>) {
    this.#places = places;
  }

  /** How many inodes there are. */
  get count(): number {
    return this.#numbers;
  }

  /** Writes the root and all that is in it. */
  write(root: Folder): Place {
    return this.#folder(root, ++this.#numbers, null);
  }

  #folder(folder: Folder, number: number, parent: number | null): Place {
    const children = childrenOf(folder).map(([name, node]) => ({ name, node, inode: ++this.#numbers }));
    const listed = children.map(({ name, node, inode }): Listed => {
      const place = node.kind === 'directory' ? this.#folder(node, inode, number) : this.#leaf(node, inode);
      return { name, type: types[node.kind], inode, place };
    });
    const list = listOf(listed);
    const at = this.directories.place;
    this.directories.add(list);
    // Three bytes for "." and "..", which are not listed; the basic form counts in 16 bits.
    if (list.length + 3 > 0xffff) throw new Error('a folder has too many files');
    const body = Buffer.alloc(16);
    body.writeUInt32LE(at.block, 0);
    body.writeUInt32LE(2 + listed.filter(({ type }) => type === types.directory).length, 4);
    body.writeUInt16LE(list.length + 3, 8);
    body.writeUInt16LE(at.offset, 10);
    // The root's is a number that no inode has.
    body.writeUInt32LE(parent ?? this.#numbers + 1, 12);
    return this.#inode(types.directory, folder.mode, number, body);
  }

  #leaf(node: File | Link, number: number): Place {
    if (node.kind === 'link') {
      const to = Buffer.from(node.to);
      const body = Buffer.alloc(8 + to.length);
      body.writeUInt32LE(1, 0);
      body.writeUInt32LE(to.length, 4);
      to.copy(body, 8);
      return this.#inode(types.link, 0o777, number, body);
    }
    const stored = this.#places.get(node);
    if (!stored) throw new Error('a file was not stored');
    const sizes = stored.kind === 'blocks' ? stored.sizes : [];
    const body = Buffer.alloc(16 + sizes.length * 4);
    body.writeUInt32LE(stored.kind === 'blocks' ? stored.start : 0, 0);
    body.writeUInt32LE(stored.kind === 'blocks' ? noFragment : stored.index, 4);
    body.writeUInt32LE(stored.kind === 'blocks' ? 0 : stored.offset, 8);
    body.writeUInt32LE(node.content.length, 12);
    for (const [index, size] of sizes.entries()) body.writeUInt32LE(size, 16 + index * 4);
    return this.#inode(types.file, node.mode, number, body);
  }

  #inode(type: number, mode: number, number: number, body: Uint8Array): Place {
    const place = this.inodes.place;
    const head = Buffer.alloc(16);
    head.writeUInt16LE(type, 0);
    head.writeUInt16LE(mode, 2);
    head.writeUInt32LE(number, 12);
    this.inodes.add(Buffer.concat([head, body]));
    return place;
  }
}

/** A directory's list: runs of entries whose inodes lie in one block of the table. */
function listOf(entries: readonly Listed[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  let at = 0;
  while (at < entries.length) {
    const first = entries[at];
    if (!first) break;
    let end = at;
    while (end - at < mostInRun && entries[end]?.place.block === first.place.block) end++;
    const head = Buffer.alloc(12);
    head.writeUInt32LE(end - at - 1, 0);
    head.writeUInt32LE(first.place.block, 4);
    head.writeUInt32LE(first.inode, 8);
    pieces.push(head);
    for (const { name, type, inode, place } of entries.slice(at, end)) {
      const bytes = Buffer.from(name);
      const entry = Buffer.alloc(8);
      entry.writeUInt16LE(place.offset, 0);
      entry.writeInt16LE(inode - first.inode, 2);
      entry.writeUInt16LE(type, 4);
      entry.writeUInt16LE(bytes.length - 1, 6);
      pieces.push(entry, bytes);
    }
    at = end;
  }
  return Buffer.concat(pieces);
}
