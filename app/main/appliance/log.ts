import { open } from 'node:fs/promises';
import { type LogLine, logLength, logLineIn } from '../../../shared/app/appliance.ts';

/** Most bytes that are read of a log at once. */
const most = 256 * 1024;

/** Follows a log that another process writes. */
export class LogTail {
  lines: readonly LogLine[] = [];
  readonly #path: string;
  readonly #tell: (lines: readonly LogLine[]) => void;
  #position = -1;
  #rest = '';
  #reading = false;

  constructor(path: string, tell: (lines: readonly LogLine[]) => void) {
    this.#path = path;
    this.#tell = tell;
  }

  /** Reads what was added since the last look; of a long log its end only. */
  async look(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      const added = await this.#added();
      if (added.length === 0) return;
      this.lines = [...this.lines, ...added].slice(-logLength);
      this.#tell(added.slice(-logLength));
    } catch {
      // There is none yet.
    } finally {
      this.#reading = false;
    }
  }

  async #added(): Promise<readonly LogLine[]> {
    const file = await open(this.#path, 'r');
    try {
      const { size } = await file.stat();
      // A shorter file is a new one.
      const from = size < this.#position ? 0 : Math.max(this.#position, size - most, 0);
      const isCut = from > Math.max(this.#position, 0);
      this.#position = size;
      if (size <= from) return [];
      const bytes = Buffer.alloc(size - from);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
      const parts = `${isCut ? '' : this.#rest}${bytes.subarray(0, bytesRead).toString('utf8')}`.split('\n');
      this.#rest = parts.pop() ?? '';
      return (isCut ? parts.slice(1) : parts).filter((line) => line !== '').map(logLineIn);
    } finally {
      await file.close();
    }
  }
}
