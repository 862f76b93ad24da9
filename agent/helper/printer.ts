import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { type HelperReply, replyLine } from '../../shared/helper/reply.ts';

/** Bytes that wait for an app that does not read; beyond them it hears no more of how far things are. */
const mostWaiting = 1 << 20;

/**
 * Says things to the app, on standard output. Node.js writes to a pipe there synchronously, so an app that reads
 * nothing would stop the flash and keep it from being cancelled; this does not.
 */
export class Printer {
  readonly #out: Writable;

  constructor() {
    const status = fstatSync(1);
    const isPipe = status.isFIFO() || status.isSocket();
    this.#out = isPipe ? new Socket({ fd: 1, readable: false, writable: true }) : process.stdout;
    // An app that is gone is noticed by the keeper, at its other end.
    this.#out.on('error', () => {});
  }

  say(reply: HelperReply): void {
    if (!this.#out.writable) return;
    const passing =
      reply.kind === 'event' && (reply.event.kind === 'progress' || reply.event.kind === 'source');
    if (passing && this.#out.writableLength > mostWaiting) return;
    this.#out.write(replyLine(reply));
  }

  /** Resolves when all was taken, or after `patience` milliseconds. */
  async end(patience: number): Promise<void> {
    const taken = new Promise<void>((resolve) => {
      if (this.#out.destroyed) resolve();
      this.#out.once('close', () => resolve()).end(() => resolve());
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patience);
    });
    await Promise.race([taken, late]);
    clearTimeout(timer);
    this.#out.destroy();
  }
}
