/**
 * What the database's file system does apart from the main thread: flushing the journal, and copying it into the
 * database. SQLite writes its journal without waiting for the disk (`synchronous=NORMAL`); before anybody is told of a
 * write, the journal is flushed here by the system's own threads, so that no packet waits for a disk.
 */
import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

/** How many pages the journal has, and how many of them the database has too. */
export interface Copied {
  readonly pages: number;
  readonly copied: number;
}

/** Where the journal is made durable. Tests have their own. */
export interface Disk {
  /** `done` gets null once everything that was written before this call is on the disk. */
  readonly flush: (done: (error: Error | null) => void) => void;
  /** The same, at once. */
  readonly flushNow: () => void;
  /** Copies the journal into the database; null when that cannot be done. */
  readonly copy: (done: (copied: Copied | null) => void) => void;
  readonly close: () => void;
}

/**
 * A connection for each copying, so that none is open when the last one of the main thread closes. PASSIVE never
 * makes the writer wait; SQLite flushes the journal before and the database after it.
 */
const copier = `
const { parentPort, workerData } = require('node:worker_threads');
const { DatabaseSync } = require('node:sqlite');
parentPort.on('message', () => {
  let copied = null;
  try {
    const connection = new DatabaseSync(workerData, { timeout: 1000 });
    try {
      connection.exec('PRAGMA synchronous = NORMAL');
      const row = connection.prepare('PRAGMA wal_checkpoint(PASSIVE)').get();
      copied = { pages: Number(row.log), copied: Number(row.checkpointed) };
    } finally {
      connection.close();
    }
  } catch {}
  parentPort.postMessage(copied);
});`;

export class FileDisk implements Disk {
  readonly #path: string;
  #descriptor: number | null = null;
  #flushing = 0;
  #closed = false;
  #worker: Worker | null = null;
  #waiting: ((copied: Copied | null) => void) | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** The journal is there once something was written; SQLite keeps the same file for as long as a connection is open. */
  #journal(): number {
    this.#descriptor ??= openSync(`${this.#path}-wal`, 'r+');
    return this.#descriptor;
  }

  flush(done: (error: Error | null) => void): void {
    let descriptor: number;
    try {
      descriptor = this.#journal();
    } catch (error) {
      queueMicrotask(() => done(error instanceof Error ? error : new Error(String(error))));
      return;
    }
    this.#flushing += 1;
    fdatasync(descriptor, (error) => {
      this.#flushing -= 1;
      if (this.#closed) this.#release();
      done(error);
    });
  }

  flushNow(): void {
    fdatasyncSync(this.#journal());
  }

  copy(done: (copied: Copied | null) => void): void {
    if (this.#closed || this.#waiting !== null) {
      done(null);
      return;
    }
    this.#waiting = done;
    try {
      const worker = this.#start();
      // Writes may wait for its answer.
      worker.ref();
      worker.postMessage(null);
    } catch {
      this.#answer(null);
    }
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const limits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 };
    const worker = new Worker(copier, { eval: true, workerData: this.#path, resourceLimits: limits });
    worker.on('message', (copied: Copied | null) => this.#answer(copied));
    worker.on('error', () => {
      this.#worker = null;
      this.#answer(null);
    });
    this.#worker = worker;
    return worker;
  }

  #answer(copied: Copied | null): void {
    const done = this.#waiting;
    this.#waiting = null;
    this.#worker?.unref();
    done?.(copied);
  }

  close(): void {
    this.#closed = true;
    void this.#worker?.terminate();
    this.#worker = null;
    this.#waiting = null;
    this.#release();
  }

  /** A descriptor that the system's threads still use is not closed: its number may be another file's at once. */
  #release(): void {
    if (this.#descriptor === null || this.#flushing > 0) return;
    closeSync(this.#descriptor);
    this.#descriptor = null;
  }
}
