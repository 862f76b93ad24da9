/**
 * An append-only file of records, each one a line with its checksum, written in groups: every record that waits when
 * the disk is free goes out with one write(2) that returns when it is on the disk (open(2) O_DSYNC), off the main
 * thread. So thousands of records a second are durable before anyone hears of them, and the event loop never waits for
 * the disk. A database with its transactions on the main thread would stop all packets for the length of every sync.
 *
 * Records are written over zeros that are on the disk already: a file that grows makes the file system write down its
 * new size with every sync, which takes several times as long when it is slow. A closed journal has no zeros.
 */
import { constants, write as writeFile } from 'node:fs';
import { type FileHandle, open, rename, rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { type Failure, failure } from '../../shared/failure.ts';

interface Waiting {
  readonly line: string;
  readonly done: (error: unknown) => void;
}

export interface JournalOptions {
  readonly path: string;
  /** Everything that is to be kept, as records; asked for when the file is written anew. */
  readonly snapshot: () => Iterable<unknown>;
  /** The file is written anew when it holds this many lines more than the snapshot had. */
  readonly slack?: number;
  /** Told when the disk begins to refuse; every append fails until the file could be written anew. */
  readonly onFailure?: (error: unknown) => void;
  /** Told when a disk that refused takes records again. */
  readonly onRecovery?: () => void;
  /** Milliseconds after which a disk that refused is tried again (5000). */
  readonly retryAfter?: number;
}

/** One line: checksum of the text, a space, the text. */
function lineOf(record: unknown): string {
  const text = JSON.stringify(record);
  return `${crc32(text).toString(16).padStart(8, '0')} ${text}\n`;
}

/** The record of a line, or undefined when the line is torn or altered. */
function recordOf(line: string): unknown {
  const text = line.slice(9);
  if (line[8] !== ' ' || Number.parseInt(line.slice(0, 8), 16) !== crc32(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Hands every whole record of the file at `path` to `take`, in order. Returns how many lines there were and how many
 * of them were damaged; the torn last line of an interrupted write, which was never confirmed, counts as damaged too.
 */
export async function readJournal(
  path: string,
  take: (record: unknown) => void,
): Promise<{ lines: number; damaged: number }> {
  let lines = 0;
  let damaged = 0;
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { lines, damaged };
    throw error;
  }
  try {
    for await (const whole of file.readLines({ encoding: 'utf8', autoClose: false })) {
      // No regular expression: a torn group can be a megabyte of zeros with something behind, which would take hours.
      let end = whole.length;
      while (end > 0 && whole.charCodeAt(end - 1) === 0) end--;
      const line = whole.slice(0, end);
      if (line === '') continue;
      lines++;
      const record = recordOf(line);
      if (record === undefined) damaged++;
      else take(record);
    }
  } finally {
    await file.close();
  }
  return { lines, damaged };
}

/** A file without the zeros at its end, over which a journal that is open writes. */
export function recorded(file: Buffer): Buffer {
  let end = file.length;
  while (end > 0 && file[end - 1] === 0) end--;
  return file.subarray(0, end);
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Records in one group that mean load, and milliseconds in which others gather then. */
const many = 4;
const gathering = 3;
/** Bytes of zeros that records are written over. */
const room = Buffer.alloc(1 << 20);
/** Room is made while this many times as much is free: the last of a disk is left to those who need it. */
const plenty = 16;

/** A file that is written from its beginning to its end, and is on the disk whenever a write is done. */
class Tape {
  readonly #file: FileHandle;
  readonly #path: string;
  /** Where the next record begins, and from where on room is made again. */
  #end: number;
  #roomAt: number;

  private constructor(file: FileHandle, path: string, end: number) {
    this.#file = file;
    this.#path = path;
    this.#end = end;
    this.#roomAt = end;
  }

  static async open(path: string): Promise<Tape> {
    const file = await open(path, constants.O_WRONLY | constants.O_DSYNC);
    const tape = new Tape(file, path, (await file.stat()).size);
    await tape.makeRoom();
    return tape;
  }

  async append(bytes: Buffer): Promise<void> {
    await this.#write(bytes, this.#end);
    this.#end += bytes.length;
  }

  /**
   * Writes zeros for the records to come where there are none left. Without, everything works as well, only slower: so
   * it is not tried with each record on a disk that has none to spare, and may fail.
   */
  async makeRoom(): Promise<void> {
    if (this.#end < this.#roomAt) return;
    this.#roomAt = this.#end + room.length;
    try {
      const { bavail, bsize } = await statfs(dirname(this.#path));
      if (bavail * bsize < plenty * room.length) return;
      await this.#write(room, this.#end);
    } catch {
      await this.#file.truncate(this.#end).catch(() => {});
    }
  }

  /** With calls in place of promises, which cost more than the writing. */
  #write(bytes: Buffer, at: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (from: number) =>
        writeFile(this.#file.fd, bytes, from, bytes.length - from, at + from, (error, written) => {
          if (error) reject(error);
          else if (from + written >= bytes.length) resolve();
          else go(from + written);
        });
      go(0);
    });
  }

  async close(): Promise<void> {
    await this.#file.truncate(this.#end).catch(() => {});
    await this.#file.close();
  }
}

/** Records per write while the file is written anew, so that waiting appends get their turn in between. */
const piece = 2000;

export class Journal {
  private readonly options: JournalOptions;
  private file: Tape;
  private waiting: Waiting[] = [];
  private lines: number;
  /** Lines from which on the file is written anew. */
  private most: number;
  private running: Promise<void> | null = null;
  private renewing: Promise<void> | null = null;
  /** Lines confirmed while a new file is being written; they follow in it before it takes over. */
  private tail: string[] | null = null;
  /** Done once no group is being written. */
  private between: (() => Promise<void>) | null = null;
  private broken: Failure | null = null;
  private retry: NodeJS.Timeout | undefined;
  private isClosed = false;

  private constructor(options: JournalOptions, file: Tape, lines: number) {
    this.options = options;
    this.file = file;
    this.lines = lines;
    this.most = 2 * lines + this.slack;
  }

  private get slack(): number {
    return this.options.slack ?? 20_000;
  }

  /** Writes the file anew from the snapshot, so that a torn end never stands before new lines, and opens it. */
  static async open(options: JournalOptions): Promise<Journal> {
    const { file, lines } = await Journal.begin(options);
    try {
      await Journal.takeOver(options.path);
    } catch (error) {
      await file.close();
      throw error;
    }
    return new Journal(options, file, lines);
  }

  private static async begin(options: JournalOptions): Promise<{ file: Tape; lines: number }> {
    const next = `${options.path}.new`;
    await rm(next, { force: true });
    const file = await open(next, 'ax', 0o600);
    let lines = 0;
    try {
      let text = '';
      for (const record of options.snapshot()) {
        text += lineOf(record);
        if (++lines % piece !== 0) continue;
        await file.appendFile(text);
        text = '';
      }
      await file.appendFile(text);
      await file.sync();
    } catch (error) {
      await file.close();
      // On a full disk what was begun takes room away.
      await rm(next, { force: true });
      throw error;
    }
    await file.close();
    // What follows is on the disk when its write(2) returns.
    return { file: await Tape.open(next), lines };
  }

  private static async takeOver(path: string): Promise<void> {
    await rename(`${path}.new`, path);
    await syncFolder(path);
  }

  /** Resolves once `record` is on the disk. */
  append(record: unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      this.appendThen(record, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  /** As `append`, with a call in place of a promise: one per packet is cheaper. `error` is null when it is on the disk. */
  appendThen(record: unknown, done: (error: unknown) => void): void {
    if (this.broken !== null) {
      queueMicrotask(() => done(this.broken));
      return;
    }
    this.waiting.push({ line: lineOf(record), done });
    // One turn of the event loop is waited for, so that packets that came in together share one sync.
    this.running ??= new Promise((resolve) => setImmediate(resolve)).then(() => this.run());
  }

  /** Why no record is taken, or null. */
  get problem(): Failure | null {
    return this.broken;
  }

  /** Records that wait for the disk. */
  get backlog(): number {
    return this.waiting.length;
  }

  private async run(): Promise<void> {
    while (this.waiting.length > 0 || this.between !== null) {
      const { between } = this;
      this.between = null;
      await between?.();
      const group = this.waiting;
      this.waiting = [];
      if (group.length > 0) await this.write(group);
      if (this.broken === null) {
        // Who waits for a record has heard of it by now.
        await this.file.makeRoom();
        if (this.lines > this.most) this.renewSoon();
      }
      // Each write costs the processor as much as several records: under load they gather a little longer.
      if (group.length >= many) await pause(gathering);
    }
    this.running = null;
  }

  private async write(group: readonly Waiting[]): Promise<void> {
    if (this.broken === null) {
      try {
        const text = group.map(({ line }) => line).join('');
        await this.file.append(Buffer.from(text));
        this.lines += group.length;
        this.tail?.push(text);
      } catch (error) {
        this.fail(error);
      }
    }
    for (const { done } of group) done(this.broken);
  }

  private fail(error: unknown): void {
    const { path, retryAfter = 5000, onFailure } = this.options;
    const wasBroken = this.broken !== null;
    this.broken = failure('LEASES_NOT_SAVED', { path, problem: String(error) }, error);
    if (!wasBroken) onFailure?.(this.broken);
    clearTimeout(this.retry);
    // A whole new file, since the old one may end in the middle of a record.
    if (!this.isClosed) this.retry = setTimeout(() => this.renewSoon(), retryAfter).unref();
  }

  /** Writes the file anew from the snapshot as it is now; answers when it has taken over. */
  async rewrite(): Promise<void> {
    while (this.renewing !== null) await this.renewing;
    this.renewSoon(true);
    await this.renewing;
  }

  /** `isAsked`: somebody relies on the new file. */
  private renewSoon(isAsked = false): void {
    if (this.renewing !== null || this.isClosed) return;
    this.renewing = this.renew(isAsked)
      .catch((error) => this.fail(error))
      .finally(() => {
        this.tail = null;
        this.renewing = null;
      });
  }

  /** A new file beside the old one takes over when it has everything that the old one has. */
  private async renew(isAsked: boolean): Promise<void> {
    this.tail = [];
    // The snapshot is taken at once; what is confirmed from now on is in the tail.
    const records = [...this.options.snapshot()];
    const begun = await Journal.begin({ ...this.options, snapshot: () => records }).catch(
      (error: unknown) => {
        if (isAsked || this.broken !== null) throw error;
        return null;
      },
    );
    if (begun === null) {
      // It is only shorter, and the old one has everything: as long as that takes records, nothing is wrong.
      this.most = this.lines + this.slack;
      return;
    }
    const { file, lines } = begun;
    await new Promise<void>((resolve, reject) => {
      this.between = async () => {
        // No group is under way here, so that the tail is complete.
        try {
          const tail = this.tail ?? [];
          if (tail.length > 0) await file.append(Buffer.from(tail.join('')));
          await Journal.takeOver(this.options.path);
          const before = this.file;
          this.file = file;
          this.lines = lines;
          this.most = 2 * lines + this.slack;
          this.tail = null;
          // Everything in it was on the disk, or was never confirmed.
          await before.close().catch(() => {});
          this.recover();
          resolve();
        } catch (error) {
          await file.close().catch(() => {});
          reject(error);
        }
      };
      this.running ??= this.run();
    });
  }

  private recover(): void {
    if (this.broken === null) return;
    this.broken = null;
    this.options.onRecovery?.();
  }

  /** Everything appended so far is on the disk when this resolves; nothing may be appended afterwards. */
  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.retry);
    while (this.running !== null || this.renewing !== null) {
      await this.running;
      await this.renewing;
    }
    await this.file.close();
  }
}
