/** A terminal of 80 columns and 24 rows, as far as our programs draw on one (ECMA-48). */

const columns = 80;
const rows = 24;
const introducer = `${String.fromCharCode(0x1b)}[`;

export class Screen {
  #lines: string[][] = empty();
  #row = 0;
  #column = 0;
  /** A sequence whose end has not come yet. */
  #rest = '';

  /** What a person sees, one line below the other. */
  get text(): string {
    return this.#lines.map((line) => line.join('').trimEnd()).join('\n');
  }

  feed(piece: string): void {
    const text = this.#rest + piece;
    this.#rest = '';
    for (let at = 0; at < text.length; at++) {
      const letter = text[at] ?? '';
      if (letter === introducer[0]) {
        const end = this.#sequence(text, at);
        if (end === null) {
          this.#rest = text.slice(at);
          return;
        }
        at = end;
      } else if (letter === '\r') this.#column = 0;
      else if (letter === '\n') this.#down();
      else if (letter === '\b') this.#column = Math.max(0, this.#column - 1);
      else if (letter >= ' ') this.#put(letter);
    }
  }

  #put(letter: string): void {
    const line = this.#lines[this.#row];
    if (line && this.#column < columns) line[this.#column] = letter;
    this.#column++;
  }

  #down(): void {
    if (this.#row < rows - 1) this.#row++;
    else {
      this.#lines.shift();
      this.#lines.push(blank());
    }
  }

  /** Position of the last byte of the sequence at `at`, null when it is not all there. */
  #sequence(text: string, at: number): number | null {
    if (text.length < at + 2) return null;
    if (text[at + 1] !== '[') return text[at + 1] === '(' ? at + 2 : at + 1;
    let end = at + 2;
    while (end < text.length && !/[@-~]/.test(text[end] ?? '')) end++;
    if (end >= text.length) return null;
    const numbers = text
      .slice(at + 2, end)
      .split(';')
      .map(Number);
    const line = this.#lines[this.#row];
    switch (text[end]) {
      case 'H':
        this.#row = Math.min(rows, Math.max(1, numbers[0] || 1)) - 1;
        this.#column = Math.min(columns, Math.max(1, numbers[1] || 1)) - 1;
        break;
      case 'K':
        line?.fill(' ', this.#column);
        break;
      case 'J':
        if (numbers[0] === 2) this.#lines = empty();
        break;
      default:
        break;
    }
    return end;
  }
}

const blank = (): string[] => Array<string>(columns).fill(' ');
const empty = (): string[][] => Array.from({ length: rows }, blank);
