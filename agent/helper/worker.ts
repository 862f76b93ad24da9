/** The half of the helper that has the rights of the asking user: reads the image, writes the disks it is handed. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { Socket } from 'node:net';
import { asFailure, ExitCode, type Failure, type FailureReport, failure } from '../../shared/failure.ts';
import { Lines } from '../../shared/helper/lines.ts';
import type { HelperImage, HelperJob, HelperTarget } from '../../shared/helper/protocol.ts';
import type { HelperOutcome } from '../../shared/helper/reply.ts';
import { tooSmall, type VirtualTarget } from '../disk/guard.ts';
import { openDisk } from '../disk/open.ts';
import { inspectTarget } from '../disk/target.ts';
import { flash } from '../flash/flash.ts';
import type { FlashTarget } from '../flash/plan.ts';
import { type FlashRequest, type Prepared, prepareFlash } from '../flash/prepare.ts';
import { closeEnd, deviceBlockSize, deviceSize, isSystemError } from '../system/native.ts';
import { receiveDescriptor } from '../system/privilege.ts';
import { type Handed, innerBytes, type ToWorker, verbs } from './inner.ts';
import { KeptDisk } from './kept.ts';
import { Printer } from './printer.ts';

type Begin = ToWorker & { readonly kind: 'begin' };
/** A disk that was opened, or is to be opened, for the flash. */
type Given =
  | { readonly kind: 'disk'; readonly target: string; readonly disk: KeptDisk }
  | { readonly kind: 'virtual'; readonly target: string; readonly size: number };

export class Worker {
  readonly #keeper: Socket;
  readonly #disks: number;
  readonly #uid: number;
  readonly #lines = new Lines(innerBytes);
  readonly #printer = new Printer();
  readonly #cancel = new AbortController();
  readonly #skip = new AbortController();
  readonly #first = Promise.withResolvers<Begin | 'refused' | 'cancelled'>();
  readonly #rereads = new Map<number, (done: boolean) => void>();
  #join: ((target: FlashTarget) => boolean) | undefined;
  #prepared: Prepared | undefined;
  /** Disks that were added before the flash began. */
  readonly #early: Given[] = [];
  #broken: FailureReport | undefined;
  #greeted = false;
  #image: HelperImage | undefined;

  /** `lines` and `disks` are the sockets that lead to the keeper, `signal` is aborted by a signal to this process. */
  constructor(lines: number, disks: number, uid: number, signal: AbortSignal) {
    this.#keeper = new Socket({ fd: lines, readable: true, writable: true });
    this.#disks = disks;
    this.#uid = uid;
    signal.addEventListener('abort', () => this.#cancelled(), { once: true });
  }

  async run(): Promise<ExitCode> {
    this.#keeper
      .on('data', (bytes: Buffer) => {
        for (const line of this.#lines.push(bytes)) this.#hear(JSON.parse(line) as ToWorker);
      })
      .on('error', () => {})
      .on('close', () => this.#abandoned());
    const outcome = await this.#work();
    // A conversation that has not begun has no last word: the app tells from the exit that nothing came of it.
    if (this.#greeted) this.#printer.say({ kind: 'finished', outcome });
    await this.#printer.end(5000);
    this.#keeper.destroy();
    if (outcome === 'cancelled') return ExitCode.cancelled;
    return outcome === 'done' ? ExitCode.ok : ExitCode.failed;
  }

  #hear(line: ToWorker): void {
    switch (line.kind) {
      case 'reply':
        this.#greeted = true;
        this.#printer.say(line.reply);
        break;
      case 'begin':
        this.#first.resolve(line);
        break;
      case 'end':
        this.#first.resolve(line.outcome);
        break;
      case 'add':
        this.#add(line.target, line.disk);
        break;
      case 'cancel':
        this.#cancelled();
        break;
      case 'skip':
        this.#skip.abort();
        break;
      case 'broken':
        this.#broken = line.failure;
        this.#cancelled();
        break;
      case 'reread':
        this.#rereads.get(line.index)?.(line.done);
        this.#rereads.delete(line.index);
        break;
    }
  }

  #cancelled(): void {
    const unbegun: HelperOutcome & 'cancelled' = 'cancelled';
    this.#first.resolve(unbegun);
    this.#cancel.abort(failure('CANCELLED', { untouched: true }));
  }

  /** The keeper is gone: nobody passes on what the person wants, and no table is read again. */
  #abandoned(): void {
    for (const answer of this.#rereads.values()) answer(false);
    this.#rereads.clear();
    this.#broken ??= failure('HELPER_HALVED', {}).report();
    this.#cancelled();
  }

  async #work(): Promise<HelperOutcome> {
    const first = await this.#first.promise;
    if (first === 'refused' || first === 'cancelled') return this.#broken ? this.#ended(null) : first;
    const { job, disks } = first;
    this.#image = job.image;
    const given = job.targets.map((target, index) => this.#receive(target, disks[index] ?? null));
    if (await this.#refusesVirtual(job)) return 'refused';
    const targets = await Promise.all(
      given.map(async (each) => ({ target: each.target, size: sizeOf(each) })),
    );
    this.#printer.say({ kind: 'accepted', targets, uid: this.#uid });
    this.#printer.say({ kind: 'step', step: 'reading', target: null });
    let prepared: Prepared;
    try {
      prepared = await prepareFlash(requestOf(job), this.#cancel.signal);
    } catch (error) {
      return this.#ended(asFailure(error));
    }
    try {
      this.#prepared = prepared;
      const small = given.flatMap((each) => this.#tooSmall(each) ?? []);
      for (const each of small) this.#refuse('job', each.target, each.failure);
      return small.length > 0 ? 'refused' : await this.#flash(prepared, given);
    } finally {
      await prepared.close();
    }
  }

  async #flash(prepared: Prepared, given: readonly Given[]): Promise<HelperOutcome> {
    const control = {
      signal: this.#cancel.signal,
      skipVerify: this.#skip.signal,
      onStart: (join: (target: FlashTarget) => boolean) => {
        this.#join = join;
      },
    };
    let outcome: HelperOutcome = 'failed';
    const targets = given.map((each) => this.#target(each));
    for await (const event of flash(prepared.plan, targets, control)) {
      this.#printer.say({ kind: 'event', event });
      if (event.kind === 'finished') outcome = event.outcome;
      if (event.kind !== 'started') continue;
      for (const text of prepared.notes)
        this.#printer.say({ kind: 'event', event: { kind: 'notice', at: event.at, target: null, text } });
      for (const each of this.#early.splice(0)) this.#joins(each);
    }
    return this.#broken ? this.#ended(null) : outcome;
  }

  /** Ends a job whose image was not written. */
  #ended(problem: Failure | null): HelperOutcome {
    if (this.#broken) {
      if (!this.#greeted) return 'failed';
      this.#printer.say({ kind: 'refused', scope: 'job', target: null, failure: this.#broken });
      return 'failed';
    }
    if (!problem || problem.code === 'CANCELLED') return 'cancelled';
    this.#refuse('job', null, problem);
    return 'refused';
  }

  #refuse(scope: 'job' | 'target', target: string | null, problem: Failure): void {
    this.#printer.say({ kind: 'refused', scope, target, failure: problem.report() });
  }

  /** Looks at the virtual disks with the rights of the asking user; true when one is refused. */
  async #refusesVirtual(job: HelperJob): Promise<boolean> {
    const virtual = job.targets.filter(({ kind }) => kind === 'virtual');
    const refusals = await Promise.all(
      virtual.map(async ({ path, size }) => {
        const { failures } = await inspectTarget(virtualSpec(path, size, job.image));
        const denied = await access(path, constants.W_OK).then(
          () => [],
          (error: unknown) =>
            isSystemError(error, 'EACCES', 'EPERM') ? [failure('NEEDS_ROOT', { target: path }, error)] : [],
        );
        return [...failures, ...denied].map((each) => ({ target: path, failure: each }));
      }),
    );
    for (const { target, failure } of refusals.flat()) this.#refuse('job', target, failure);
    return refusals.flat().length > 0;
  }

  #receive(target: HelperTarget, handed: Handed | null): Given {
    const { path } = target;
    if (target.kind === 'virtual' || !handed) return { kind: 'virtual', target: path, size: target.size };
    const { descriptor, byte } = receiveDescriptor(this.#disks);
    if (byte !== handed.index) {
      closeEnd(descriptor);
      throw failure('INTERNAL', { problem: 'the descriptors of the disks came in another order' });
    }
    const disk = new KeptDisk(
      {
        kind: 'device',
        descriptor,
        path,
        size: deviceSize(descriptor),
        blockSize: deviceBlockSize(descriptor),
        direct: handed.direct,
      },
      { reread: () => this.#reread(byte), closed: () => this.#tell(verbs.closed, byte) },
    );
    return { kind: 'disk', target: path, disk };
  }

  #reread(index: number): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#keeper.destroyed) return resolve(false);
      this.#rereads.set(index, resolve);
      this.#tell(verbs.reread, index);
    });
  }

  #tell(verb: number, index: number): void {
    if (this.#keeper.writable) this.#keeper.write(Uint8Array.of(verb, index));
  }

  #add(target: HelperTarget, handed: Handed | null): void {
    const given = this.#receive(target, handed);
    if (this.#join) this.#joins(given);
    else this.#early.push(given);
  }

  #joins(given: Given): void {
    const small = this.#tooSmall(given);
    const reason =
      'all disks are done, or the image cannot be read a second time, or it is being written already';
    const refused = small?.failure ?? failure('ADD_REFUSED', { target: given.target, reason });
    if (!small && this.#join?.(this.#target(given))) return;
    this.#refuse('target', given.target, refused);
    if (given.kind === 'disk') void given.disk.close().catch(() => {});
  }

  #tooSmall(given: Given): { readonly target: string; readonly failure: Failure } | null {
    const { target } = given;
    const imageName = this.#prepared?.plan.image ?? '';
    const refusal = tooSmall({ path: target, imageName, ...this.#imageSize }, sizeOf(given));
    return refusal && { target, failure: refusal };
  }

  #target(given: Given): FlashTarget {
    const { target } = given;
    const size = sizeOf(given);
    if (given.kind === 'disk') return { target, size, open: async () => given.disk };
    const spec = virtualSpec(target, size, this.#image);
    const sizes = this.#imageSize;
    return { target, size, open: () => openDisk({ ...spec, ...sizes }) };
  }

  get #imageSize(): { readonly imageBytes: number | null; readonly imageAtLeast: number } {
    const { plan, size } = this.#prepared ?? {};
    return { imageBytes: plan?.imageBytes ?? null, imageAtLeast: size?.atLeast ?? 0 };
  }
}

function sizeOf(given: Given): number {
  return given.kind === 'disk' ? given.disk.size : given.size;
}

function virtualSpec(path: string, size: number, image: HelperImage | undefined): VirtualTarget {
  const source = image?.kind === 'file' ? { source: { path: image.path } } : {};
  return { kind: 'virtual', path, expected: { size }, ...source, imageName: 'the image' };
}

function requestOf({ image, verify, sparse, bmap, allowCut }: HelperJob): FlashRequest {
  return {
    image: image.kind === 'catalog' ? image.name : image.kind === 'url' ? image.url : image.path,
    catalog: image.kind === 'catalog' ? image.catalog : undefined,
    named: image.kind === 'catalog',
    verify,
    sparse,
    allowCut,
    sha256: image.sha256 ?? undefined,
    computeSha256: true,
    bmap: bmap ?? undefined,
  };
}
