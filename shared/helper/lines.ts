/** Lines out of a stream of bytes, each of a bounded length. */
export class Lines {
  readonly #most: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #parts: Uint8Array[] = [];
  #held = 0;
  #broken = false;

  /** `most` bytes of a line, its end not counted. */
  constructor(most: number) {
    this.#most = most;
  }

  /** True after a line that was too long or no UTF-8; nothing more comes of the stream then. */
  get broken(): boolean {
    return this.#broken;
  }

  /** True when the stream ended, or ends now, in the middle of a line. */
  get open(): boolean {
    return this.#held > 0;
  }

  /** The lines that `bytes` complete. */
  push(bytes: Uint8Array): string[] {
    const found: string[] = [];
    for (let start = 0; !this.#broken && start < bytes.length; ) {
      const end = bytes.indexOf(0x0a, start);
      const part = bytes.slice(start, end === -1 ? bytes.length : end);
      this.#held += part.length;
      if (this.#held > this.#most) this.#break();
      else if (end === -1) this.#parts.push(part);
      else {
        const line = this.#take(part);
        if (line !== null) found.push(line);
      }
      start = end === -1 ? bytes.length : end + 1;
    }
    return found;
  }

  #take(last: Uint8Array): string | null {
    const whole = new Uint8Array(this.#held);
    let position = 0;
    for (const part of [...this.#parts, last]) {
      whole.set(part, position);
      position += part.length;
    }
    this.#parts = [];
    this.#held = 0;
    try {
      return this.#decoder.decode(whole);
    } catch {
      this.#break();
      return null;
    }
  }

  #break(): void {
    this.#broken = true;
    this.#parts = [];
    this.#held = 0;
  }
}
