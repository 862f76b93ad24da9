/** Unpacks the LZ4 frame format (lz4_Frame_format.md 1.6.4): any number of frames and skippable frames. */
import { type Failure, failure } from '../../shared/failure.ts';
import { decodeBlock, lz4Slack } from './lz4block.ts';
import { emit, type SlotWriter, type Unpacker } from './unpacker.ts';
import { XxHash32, xxHash32 } from './xxhash32.ts';

const frameMagic = 0x184d2204;
const legacyMagic = 0x184c2102;
const skippableMagic = 0x184d2a50;
const historySize = 64 * 1024;
/** Decoded bytes held before the history is moved to the front again. */
const roomAtLeast = 1 << 20;

interface Frame {
  readonly linked: boolean;
  readonly blockChecksum: boolean;
  readonly contentChecksum: boolean;
  readonly contentSize: number | null;
  readonly blockMax: number;
}

type Stage =
  | { readonly kind: 'magic' }
  | { readonly kind: 'descriptor' }
  | { readonly kind: 'blockHeader'; readonly frame: Frame }
  | { readonly kind: 'block'; readonly frame: Frame; readonly size: number; readonly packed: boolean }
  | { readonly kind: 'contentChecksum' }
  | { readonly kind: 'skippableSize' }
  | { readonly kind: 'skip'; left: number };

/**
 * Unpacker for lz4 frames. Verifies every checksum and the content size. Throws IMAGE_CORRUPT,
 * IMAGE_TRUNCATED, and IMAGE_UNSUPPORTED for legacy frames and for frames that need a dictionary.
 */
export function lz4Unpacker(image: string): Unpacker {
  return new Lz4Unpacker(image);
}

class Lz4Unpacker implements Unpacker {
  readonly #image: string;
  #stage: Stage = { kind: 'magic' };
  /** Stored bytes that precede the ones being parsed. */
  #offset = 0;
  #frames = 0;

  /** [history and decoded bytes | slack | stored bytes of the current item | slack] */
  #memory = new Uint8Array(0);
  #view = new DataView(this.#memory.buffer);
  #room = 0;
  #storedAt = 0;
  #storedLength = 0;
  #needed = 4;

  #frameStart = 0;
  #position = 0;
  #content = 0;
  readonly #contentHash = new XxHash32();

  constructor(image: string) {
    this.#image = image;
    this.#reserve(64 * 1024);
  }

  push(input: Uint8Array, out: SlotWriter): void {
    let at = 0;
    while (at < input.length) {
      const stage = this.#stage;
      if (stage.kind === 'skip') {
        const count = Math.min(stage.left, input.length - at);
        stage.left -= count;
        at += count;
        this.#offset += count;
        if (stage.left === 0) this.#expect({ kind: 'magic' }, 4);
        continue;
      }
      const count = Math.min(this.#needed - this.#storedLength, input.length - at);
      this.#memory.set(input.subarray(at, at + count), this.#storedAt + this.#storedLength);
      this.#storedLength += count;
      at += count;
      if (this.#storedLength === this.#needed) this.#item(stage, out);
    }
  }

  finish(): void {
    if (this.#stage.kind !== 'magic' || this.#storedLength > 0 || this.#frames === 0) {
      const offset = this.#offset + this.#storedLength;
      throw failure('IMAGE_TRUNCATED', { image: this.#image, format: 'lz4', offset });
    }
  }

  close(): void {
    this.#memory = new Uint8Array(0);
    this.#view = new DataView(this.#memory.buffer);
  }

  /** Handles one complete item; its bytes lie at `#storedAt`. */
  #item(stage: Exclude<Stage, { kind: 'skip' }>, out: SlotWriter): void {
    switch (stage.kind) {
      case 'magic':
        this.#magic();
        break;
      case 'descriptor':
        this.#descriptor();
        break;
      case 'blockHeader':
        this.#blockHeader(stage.frame);
        break;
      case 'block':
        this.#block(stage.frame, stage.size, stage.packed, out);
        break;
      case 'contentChecksum':
        if (this.#stored32(0) !== this.#contentHash.digest()) throw this.#corrupt('content checksum differs');
        this.#expect({ kind: 'magic' }, 4);
        break;
      case 'skippableSize': {
        const left = this.#stored32(0);
        if (left === 0) this.#expect({ kind: 'magic' }, 4);
        else this.#expect({ kind: 'skip', left }, 0);
      }
    }
  }

  #magic(): void {
    const magic = this.#stored32(0);
    if (magic === frameMagic) {
      this.#expect({ kind: 'descriptor' }, 3);
    } else if ((magic & 0xfffffff0) === skippableMagic) {
      this.#frames++;
      this.#expect({ kind: 'skippableSize' }, 4);
    } else if (magic === legacyMagic) {
      throw this.#unsupported('a legacy frame');
    } else {
      throw this.#corrupt(
        this.#frames === 0 ? 'it does not start with a frame' : 'no frame follows the last one',
      );
    }
  }

  #descriptor(): void {
    const flags = this.#stored8(0);
    const hasSize = (flags & 0x08) !== 0;
    const hasDictionary = (flags & 0x01) !== 0;
    const length = 3 + (hasSize ? 8 : 0) + (hasDictionary ? 4 : 0);
    if (this.#needed < length) {
      this.#needed = length;
      return;
    }
    const fields = this.#memory.subarray(this.#storedAt, this.#storedAt + length - 1);
    // Section "Header Checksum": the second byte of the XXH32 of the descriptor.
    if (((xxHash32(fields) >>> 8) & 0xff) !== this.#stored8(length - 1)) {
      throw this.#corrupt('header checksum differs');
    }
    if (flags >>> 6 !== 1) throw this.#unsupported(`frame version ${flags >>> 6}`);
    if (hasDictionary) throw this.#unsupported('an external dictionary');
    const blockCode = (this.#stored8(1) >>> 4) & 7;
    if ((flags & 0x02) !== 0 || (this.#stored8(1) & 0x8f) !== 0 || blockCode < 4) {
      throw this.#corrupt('reserved bits are set in a frame header');
    }
    const frame: Frame = {
      linked: (flags & 0x20) === 0,
      blockChecksum: (flags & 0x10) !== 0,
      contentChecksum: (flags & 0x04) !== 0,
      contentSize: hasSize ? this.#stored32(2) + this.#stored32(6) * 2 ** 32 : null,
      blockMax: 1 << (8 + 2 * blockCode),
    };
    this.#frames++;
    this.#content = 0;
    this.#contentHash.reset();
    this.#expect({ kind: 'blockHeader', frame }, 4);
    this.#reserve(frame.blockMax);
    this.#frameStart = this.#position;
  }

  #blockHeader(frame: Frame): void {
    const header = this.#stored32(0);
    if (header === 0) {
      this.#endFrame(frame);
      return;
    }
    const size = header & 0x7fffffff;
    if (size > frame.blockMax) throw this.#corrupt('a block is larger than its frame allows');
    const needed = size + (frame.blockChecksum ? 4 : 0);
    this.#expect({ kind: 'block', frame, size, packed: header >>> 31 === 0 }, needed);
    // An empty stored block without a checksum has no bytes to wait for.
    if (needed === 0) this.#expect({ kind: 'blockHeader', frame }, 4);
  }

  #block(frame: Frame, size: number, packed: boolean, out: SlotWriter): void {
    const from = this.#storedAt;
    if (frame.blockChecksum) {
      if (xxHash32(this.#memory.subarray(from, from + size)) !== this.#stored32(size)) {
        throw this.#corrupt('block checksum differs');
      }
    }
    if (this.#position + frame.blockMax > this.#room) this.#slide();
    const start = this.#position;
    let end = start + size;
    if (packed) {
      const lowest = frame.linked ? Math.max(this.#frameStart, start - historySize) : start;
      end = decodeBlock(this.#memory, this.#view, from, from + size, start, start + frame.blockMax, lowest);
      if (end < 0) throw this.#corrupt('a block cannot be decoded');
    } else {
      this.#memory.copyWithin(start, from, from + size);
    }
    this.#position = end;
    this.#content += end - start;
    const decoded = this.#memory.subarray(start, end);
    if (frame.contentSize !== null && this.#content > frame.contentSize) {
      throw this.#corrupt('the content is larger than announced');
    }
    if (frame.contentChecksum) this.#contentHash.update(decoded);
    this.#expect({ kind: 'blockHeader', frame }, 4);
    emit(decoded, out);
  }

  #endFrame(frame: Frame): void {
    if (frame.contentSize !== null && this.#content !== frame.contentSize) {
      throw this.#corrupt(`it holds ${this.#content} bytes and announces ${frame.contentSize}`);
    }
    this.#expect(frame.contentChecksum ? { kind: 'contentChecksum' } : { kind: 'magic' }, 4);
  }

  /** Waits for `needed` stored bytes before `stage` is handled. */
  #expect(stage: Stage, needed: number): void {
    this.#offset += this.#storedLength;
    this.#storedLength = 0;
    this.#stage = stage;
    this.#needed = needed;
  }

  /** Makes room for blocks of up to `blockMax` bytes; drops the history. */
  #reserve(blockMax: number): void {
    const room = historySize + Math.max(blockMax, roomAtLeast);
    this.#position = 0;
    this.#frameStart = 0;
    if (room <= this.#room && this.#memory.length > 0) return;
    this.#room = room;
    this.#storedAt = room + lz4Slack;
    this.#memory = new Uint8Array(this.#storedAt + Math.max(blockMax, roomAtLeast) + 4 + lz4Slack);
    this.#view = new DataView(this.#memory.buffer);
  }

  /** Moves the last 64 KiB, which linked blocks refer to, to the front. */
  #slide(): void {
    const keep = Math.min(historySize, this.#position);
    const moved = this.#position - keep;
    this.#memory.copyWithin(0, moved, this.#position);
    this.#position = keep;
    this.#frameStart = Math.max(0, this.#frameStart - moved);
  }

  #stored8(at: number): number {
    return this.#view.getUint8(this.#storedAt + at);
  }

  #stored32(at: number): number {
    return this.#view.getUint32(this.#storedAt + at, true);
  }

  #corrupt(problem: string): Failure {
    return failure('IMAGE_CORRUPT', { image: this.#image, format: 'lz4', problem, offset: this.#offset });
  }

  #unsupported(feature: string): Failure {
    return failure('IMAGE_UNSUPPORTED', { image: this.#image, format: 'lz4', feature });
  }
}
