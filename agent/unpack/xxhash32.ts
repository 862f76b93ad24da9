/** XXH32, as the xxHash fast digest specification 0.1.1 defines it; the checksum of the lz4 frame format. */

const prime1 = 0x9e3779b1 | 0;
const prime2 = 0x85ebca77 | 0;
const prime3 = 0xc2b2ae3d | 0;
const prime4 = 0x27d4eb2f | 0;
const prime5 = 0x165667b1 | 0;
const stripe = 16;

/** Incremental XXH32. */
export class XxHash32 {
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;
  #seed = 0;
  #total = 0;
  readonly #pending = new Uint8Array(stripe);
  #pendingLength = 0;

  constructor(seed = 0) {
    this.reset(seed);
  }

  reset(seed = 0): void {
    this.#seed = seed | 0;
    this.#a = (seed + prime1 + prime2) | 0;
    this.#b = (seed + prime2) | 0;
    this.#c = seed | 0;
    this.#d = (seed - prime1) | 0;
    this.#total = 0;
    this.#pendingLength = 0;
  }

  update(bytes: Uint8Array): void {
    this.#total += bytes.length;
    let start = 0;
    if (this.#pendingLength > 0) {
      start = Math.min(stripe - this.#pendingLength, bytes.length);
      this.#pending.set(bytes.subarray(0, start), this.#pendingLength);
      this.#pendingLength += start;
      if (this.#pendingLength < stripe) return;
      this.#stripes(this.#pending, 0, stripe);
      this.#pendingLength = 0;
    }
    const end = bytes.length - ((bytes.length - start) % stripe);
    this.#stripes(bytes, start, end);
    this.#pending.set(bytes.subarray(end));
    this.#pendingLength = bytes.length - end;
  }

  /** The digest of all bytes so far, as an unsigned number. */
  digest(): number {
    let hash: number;
    if (this.#total >= stripe) {
      hash = (rotate(this.#a, 1) + rotate(this.#b, 7) + rotate(this.#c, 12) + rotate(this.#d, 18)) | 0;
    } else {
      hash = (this.#seed + prime5) | 0;
    }
    hash = (hash + this.#total) | 0;
    const view = new DataView(this.#pending.buffer);
    let at = 0;
    for (; at + 4 <= this.#pendingLength; at += 4) {
      hash = Math.imul(rotate((hash + Math.imul(view.getInt32(at, true), prime3)) | 0, 17), prime4);
    }
    for (; at < this.#pendingLength; at++) {
      hash = Math.imul(rotate((hash + Math.imul(view.getUint8(at), prime5)) | 0, 11), prime1);
    }
    hash = Math.imul(hash ^ (hash >>> 15), prime2);
    hash = Math.imul(hash ^ (hash >>> 13), prime3);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  #stripes(bytes: Uint8Array, start: number, end: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let a = this.#a;
    let b = this.#b;
    let c = this.#c;
    let d = this.#d;
    for (let at = start; at < end; at += stripe) {
      a = Math.imul(rotate((a + Math.imul(view.getInt32(at, true), prime2)) | 0, 13), prime1);
      b = Math.imul(rotate((b + Math.imul(view.getInt32(at + 4, true), prime2)) | 0, 13), prime1);
      c = Math.imul(rotate((c + Math.imul(view.getInt32(at + 8, true), prime2)) | 0, 13), prime1);
      d = Math.imul(rotate((d + Math.imul(view.getInt32(at + 12, true), prime2)) | 0, 13), prime1);
    }
    this.#a = a;
    this.#b = b;
    this.#c = c;
    this.#d = d;
  }
}

/** XXH32 of `bytes` in one go, as an unsigned number. */
export function xxHash32(bytes: Uint8Array, seed = 0): number {
  const hash = new XxHash32(seed);
  hash.update(bytes);
  return hash.digest();
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
