import { asFailure, type Failure, failure } from '../../shared/failure.ts';
import type { FlashNews, Outcome, TargetPhase } from '../../shared/flash/event.ts';
import type { DiskHandle } from '../disk/handle.ts';
import type { Pass, PassResult } from './pass.ts';
import type { FlashControl, FlashPlan, FlashTarget } from './plan.ts';
import { bytesToVerify, verify } from './verify.ts';
import { TargetWriter, type WriterOptions } from './writer.ts';

/** Milliseconds that a cancelled flash waits for the writes that are under way. */
const grace = 500;
/** What else a disk is asked, a flush above all, may take so many times as long as a write before it is given up. */
const flushPatience = 5;

export interface LaneOptions {
  readonly plan: FlashPlan;
  readonly control: FlashControl;
  readonly writer: WriterOptions;
  readonly tell: (news: FlashNews) => void;
}

/** One disk's way through a flash: opened, cleared, written, flushed, read back, settled. */
export class Lane {
  readonly target: string;
  writer: TargetWriter | undefined;
  outcome: Outcome | undefined;
  readonly #of: FlashTarget;
  readonly #options: LaneOptions;
  readonly #seconds: Partial<Record<TargetPhase, number>> = {};
  #disk: DiskHandle | undefined;
  #failing: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  #phase: TargetPhase | undefined;
  #phaseBegan = 0;
  #verified = 0;
  #partitionsRead = false;
  /** True from the first write on. */
  #touched = false;
  /** Ends when the disk has answered what it was asked last beside its writes. */
  #asked: Promise<void> = Promise.resolve();
  #toVerify = 0;
  #lastVerify = 0;

  constructor(target: FlashTarget, options: LaneOptions) {
    this.target = target.target;
    this.#of = target;
    this.#options = options;
  }

  /** Opens the disk and makes it look blank; false when that failed, which ends the lane. */
  async begin(): Promise<boolean> {
    try {
      this.#enter('clearing');
      this.#disk = await this.#of.open();
      this.#options.control.signal.throwIfAborted();
      this.writer = new TargetWriter(this.#disk, this.#options.writer);
      this.#touched = true;
      await this.#answered(this.writer.clear());
      this.#enter('writing');
      return true;
    } catch (error) {
      await this.#end(this.#cancelledOr(error), false);
      return false;
    }
  }

  /** Ends the lane because of `error` before all was written; the first call decides. */
  fail(error: unknown): Promise<void> {
    this.#failing ??= this.#fail(error);
    return this.#failing;
  }

  async #fail(error: unknown): Promise<void> {
    if (this.#ending) return await this.#ending;
    const reason = this.#cancelledOr(error);
    // A disk that failed by itself says so, whatever ended the pass.
    const told = this.writer?.failed && reason.code !== 'CANCELLED';
    const own = told ? this.writer?.settled().then(() => reason, asFailure) : reason;
    this.writer?.abandon(reason);
    await this.#end((await own) ?? reason, false);
  }

  /** Brings the disk to its end after everything was handed to its writer. */
  async complete(pass: Pass, result: PassResult): Promise<void> {
    const { writer } = this;
    if (this.#failing) return await this.#failing;
    if (this.#ending) return await this.#ending;
    if (!writer) return;
    try {
      await this.#whileWanted(writer.settled());
      this.#checkDigest(result);
      this.#enter('flushing');
      await this.#answered(writer.flush());
      const verified = await this.#verify(writer, pass, result);
      this.#options.control.signal.throwIfAborted();
      this.#enter('settling');
      await this.#timely(writer.settle(this.#options.plan.verify !== 'none'));
      this.#partitionsRead = await writer.rereadPartitions();
      if (!this.#partitionsRead) this.#notice('the system still uses the old partition table of');
      await this.#end(null, verified);
    } catch (error) {
      const isDeaf = asFailure(error).code === 'DISK_STALLED';
      if (this.#phase === 'settling' && !isDeaf) await this.#answered(writer.blank()).catch(() => {});
      writer.abandon(this.#cancelledOr(error));
      await this.#end(this.#cancelledOr(error), false);
    }
  }

  /** Called a few times a second. */
  tick(at: number): void {
    const { tell, plan } = this.#options;
    const phase = this.#phase;
    if (this.outcome || !this.writer || !phase) return;
    if (phase === 'writing' && this.writer.failed) {
      void this.fail(null);
      return;
    }
    if (phase === 'writing') {
      tell({
        kind: 'progress',
        target: this.target,
        phase,
        bytes: this.writer.bytes,
        total: plan.imageBytes,
      });
    } else if (phase === 'verifying') {
      tell({ kind: 'progress', target: this.target, phase, bytes: this.#verified, total: this.#toVerify });
      if (at - this.#lastVerify > this.#options.writer.stallAfter) this.#stalled(at);
    }
  }

  #stalled(at: number): void {
    const seconds = Math.round((at - this.#lastVerify) / 1000);
    const { target } = this;
    this.#giveUp(failure('DISK_STALLED', { target, offset: this.#verified, length: 0, seconds }));
  }

  #giveUp: (reason: Failure) => void = () => {};

  #checkDigest(result: PassResult): void {
    const { image, sha256 } = this.#options.plan;
    if (!sha256.expected || sha256.expected === result.sha256) return;
    throw failure('DIGEST_MISMATCH', {
      image,
      expected: sha256.expected,
      actual: result.sha256 ?? 'unknown',
    });
  }

  async #verify(writer: TargetWriter, pass: Pass, { expected }: PassResult): Promise<boolean> {
    const { plan, control } = this.#options;
    const { verify: mode, sparse } = plan;
    if (mode === 'none' || control.skipVerify.aborted) return false;
    this.#toVerify = bytesToVerify(expected, mode, sparse);
    this.#lastVerify = this.#options.writer.now();
    this.#enter('verifying');
    const abandoned = new AbortController();
    const { disk, held } = writer;
    const onProgress = (bytes: number) => {
      this.#verified = bytes;
      this.#lastVerify = this.#options.writer.now();
    };
    const signal = AbortSignal.any([control.signal, abandoned.signal]);
    const skip = control.skipVerify;
    const reading = verify(
      { disk, held, expected, mode, digester: pass.digester, skip, signal, onProgress },
      sparse,
    );
    const given = new Promise<never>((_resolve, reject) => {
      this.#giveUp = (reason) => {
        reject(reason);
        abandoned.abort(reason);
      };
    });
    return await this.#whileWanted(Promise.race([reading, given]));
  }

  /** Waits for something that the disk was asked, until it is cancelled or given up. */
  #answered<Value>(work: Promise<Value>): Promise<Value> {
    return this.#whileWanted(this.#timely(work));
  }

  /** Waits for something that the disk was asked. Rejects with DISK_STALLED where it does not answer. */
  async #timely<Value>(work: Promise<Value>): Promise<Value> {
    this.#asked = work.then(
      () => {},
      () => {},
    );
    const limit = flushPatience * this.#options.writer.stallAfter;
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<never>((_resolve, reject) => {
      const stalled = { target: this.target, offset: 0, length: 0, seconds: Math.round(limit / 1000) };
      timer = setTimeout(() => reject(failure('DISK_STALLED', stalled)), limit);
    });
    try {
      return await Promise.race([work, tooLong]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for `work`, but no longer than the grace after a cancel: a hanging disk does not hold the person. */
  async #whileWanted<Value>(work: Promise<Value>): Promise<Value> {
    const { signal } = this.#options.control;
    let timer: NodeJS.Timeout | undefined;
    let onAbort = () => {};
    const unwanted = new Promise<never>((_resolve, reject) => {
      onAbort = () => {
        timer = setTimeout(() => reject(signal.reason), grace);
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      const value = await Promise.race([work, unwanted]);
      return value;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      work.catch(() => {});
    }
  }

  #cancelledOr(error: unknown): Failure {
    const untouched = !this.#touched;
    // A disk that fails while its start is written says so: a cancel comes too late then.
    const cancelled = this.#options.control.signal.aborted && this.#phase !== 'settling';
    return cancelled ? failure('CANCELLED', untouched ? { untouched } : {}, error) : asFailure(error);
  }

  #notice(text: string): void {
    this.#options.tell({ kind: 'notice', target: this.target, text: `${text} ${this.target}` });
  }

  #enter(phase: TargetPhase): void {
    this.#leave();
    this.#phase = phase;
    this.#options.tell({ kind: 'phase', target: this.target, phase });
  }

  #leave(): void {
    const at = this.#options.writer.now();
    if (this.#phase) this.#seconds[this.#phase] = (at - this.#phaseBegan) / 1000;
    this.#phaseBegan = at;
  }

  /** Ends the lane; the first call decides, and every call resolves when the end was told. */
  #end(reason: Failure | null, verified: boolean): Promise<void> {
    this.#ending ??= this.#finish(reason, verified);
    return this.#ending;
  }

  async #finish(reason: Failure | null, verified: boolean): Promise<void> {
    this.outcome = reason === null ? 'done' : reason.code === 'CANCELLED' ? 'cancelled' : 'failed';
    this.#leave();
    await this.#close();
    this.#options.tell({
      kind: 'target-finished',
      target: this.target,
      outcome: this.outcome,
      verified,
      account: this.writer?.account ?? { written: 0, zeroed: 0, skipped: 0 },
      partitionsRead: this.#partitionsRead,
      seconds: this.#seconds,
      failure: reason?.report() ?? null,
    });
  }

  async #close(): Promise<void> {
    // A descriptor stays open until its last write has ended: its number must not come to mean another file. And it is
    // closed then, however late that is: an agent that tries again opens the disk exclusively.
    const closed = Promise.all([this.writer?.quiet(), this.#asked])
      .then(() => this.#disk?.close())
      .catch(() => {});
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, grace);
    });
    await Promise.race([closed, tooLong]);
    clearTimeout(timer);
  }
}
