/** The half of the helper that keeps the rights of root: opens disks, and reads partition tables again. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { asFailure, type Failure, failure } from '../../shared/failure.ts';
import { Lines } from '../../shared/helper/lines.ts';
import {
  type HelperCommand,
  type HelperJob,
  type HelperTarget,
  mostTargets,
  parseCommand,
  parseJob,
  protocolVersion,
  requestBytes,
} from '../../shared/helper/protocol.ts';
import type { HelperReply } from '../../shared/helper/reply.ts';
import type { DescriptorDisk } from '../disk/descriptor.ts';
import { type DiskIdentity, identify } from '../disk/identity.ts';
import { openDisk } from '../disk/open.ts';
import { sendDescriptor } from '../system/privilege.ts';
import { version } from '../version.ts';
import { keepUnmounted } from './automount.ts';
import { type Checked, checkDisk, checkTwice, Refusals } from './check.ts';
import { type Handed, type ToWorker, verbs } from './inner.ts';
import { unmount } from './unmount.ts';

export interface KeeperEnds {
  /** What the app says. */
  readonly app: Readable;
  readonly worker: Socket;
  /** The socket over which descriptors go to the worker. */
  readonly disks: number;
  /** Aborted by a signal that ends a process. */
  readonly signal: AbortSignal;
  readonly limits?: Partial<Limits>;
}

interface Limits {
  /** Milliseconds within which the job must come. */
  readonly jobWithin: number;
  /** Lines after the job; more are no conversation but a flood. */
  readonly commands: number;
  /** Milliseconds that a worker has to end when the app is gone. */
  readonly endWithin: number;
}
const usual: Limits = { jobWithin: 60_000, commands: 1000, endWithin: 30_000 };

interface Held {
  readonly disk: DescriptorDisk;
  readonly identity: DiskIdentity;
}

export class Keeper {
  readonly #ends: KeeperEnds;
  readonly #limits: Limits;
  readonly #nonce = randomBytes(16).toString('hex');
  readonly #lines = new Lines(requestBytes);
  readonly #abort = new AbortController();
  readonly #held = new Map<number, Held>();
  readonly #given = Promise.withResolvers<HelperJob>();
  /** Resolves when the worker has the job, rejects when it will not get it. */
  readonly #handed = Promise.withResolvers<void>();
  #job: HelperJob | undefined;
  #begun = false;
  #over = false;
  #targets = 0;
  #commands = 0;
  #nextIndex = 0;
  #adding: Promise<void> = Promise.resolve();
  #verb: number | undefined;
  readonly #rereading = new Set<number>();

  constructor(ends: KeeperEnds) {
    this.#ends = ends;
    this.#limits = { ...usual, ...ends.limits };
  }

  /** Resolves when the worker is gone, with all disks closed. */
  async run(): Promise<void> {
    const { app, worker, signal } = this.#ends;
    const gone = new Promise<void>((resolve) => worker.once('close', () => resolve()));
    worker.on('error', () => {}).on('data', (bytes) => this.#verbs(bytes));
    const cancel = () => this.#cancel();
    app
      .on('data', (bytes: Buffer) => this.#hear(bytes))
      .on('end', () => this.#left())
      .on('error', () => this.#left());
    this.#handed.promise.catch(() => {});
    signal.addEventListener('abort', cancel, { once: true });
    this.#say({ kind: 'hello', version: protocolVersion, program: version, nonce: this.#nonce });
    void gone.then(() => this.#abort.abort(failure('CANCELLED', { untouched: true })));
    await this.#work();
    await gone;
    this.#over = true;
    await this.#adding;
    await Promise.all([...this.#held.values()].map(({ disk }) => disk.close()));
  }

  async #work(): Promise<void> {
    const late = failure('HELPER_PROTOCOL', { problem: 'no job' });
    const timer = setTimeout(() => this.#abort.abort(late), this.#limits.jobWithin);
    const { signal } = this.#abort;
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    aborted.catch(() => {});
    try {
      const job = await Promise.race([this.#given.promise, aborted]);
      clearTimeout(timer);
      const disks = await this.#open(job.targets, job);
      signal.throwIfAborted();
      this.#begun = true;
      this.#send({ kind: 'begin', job, disks });
      this.#handed.resolve();
    } catch (error) {
      await Promise.all([...this.#held.values()].map(({ disk }) => disk.close()));
      this.#held.clear();
      this.#end(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Takes what the app says. */
  #hear(bytes: Uint8Array): void {
    if (this.#over) return;
    for (const line of this.#lines.push(bytes)) {
      if (this.#over) return;
      if (this.#job) this.#command(line);
      else this.#begin(line);
    }
    if (this.#lines.broken) this.#break('a line that is too long or no UTF-8');
  }

  #begin(line: string): void {
    const parsed = parseJob(line, this.#nonce);
    if (parsed.kind === 'valid') {
      this.#job = parsed.value;
      this.#targets = parsed.value.targets.length;
      this.#given.resolve(parsed.value);
    } else this.#break(parsed.problem);
  }

  #command(line: string): void {
    const parsed = parseCommand(line);
    if (parsed.kind === 'invalid') this.#break(parsed.problem);
    else if (++this.#commands > this.#limits.commands) this.#break('more commands than it takes');
    else this.#obey(parsed.value);
  }

  #obey(command: HelperCommand): void {
    switch (command.kind) {
      case 'cancel':
        this.#cancel();
        break;
      case 'skip-verification':
        this.#send({ kind: 'skip' });
        break;
      case 'add-target':
        if (!this.#job?.mayAddTargets) this.#break('a disk to be added to a job that takes none');
        else if (command.target.kind === 'disk' && command.target.allowSystemDisk)
          this.#break('a system disk to be added');
        else if (++this.#targets > mostTargets) this.#break(`more than ${mostTargets} disks`);
        else this.#adding = this.#adding.then(() => this.#add(command.target));
        break;
    }
  }

  #cancel(): void {
    if (this.#begun) this.#send({ kind: 'cancel' });
    this.#abort.abort(failure('CANCELLED', { untouched: true }));
  }

  /** The app is gone. A worker that does not end by itself is ended: nobody is left who could. */
  #left(): void {
    this.#cancel();
    const { ppid } = process;
    const end = () => {
      if (!this.#ends.worker.destroyed && process.ppid === ppid) process.kill(ppid, 'SIGKILL');
    };
    setTimeout(end, this.#limits.endWithin).unref();
  }

  /** The app is not to be trusted any more: the job ends. */
  #break(problem: string): void {
    this.#over = true;
    const found = failure('HELPER_PROTOCOL', { problem });
    if (this.#begun) this.#send({ kind: 'broken', failure: found.report() });
    this.#abort.abort(found);
  }

  #end(error: unknown): void {
    this.#over = true;
    this.#handed.reject(error);
    const problems =
      error instanceof Refusals ? error.refusals : [{ target: null, failure: asFailure(error) }];
    const cancelled = problems.every(({ failure }) => failure.code === 'CANCELLED');
    if (!cancelled) for (const { target, failure } of problems) this.#refuse('job', target, failure);
    this.#send({ kind: 'end', outcome: cancelled ? 'cancelled' : 'refused' });
  }

  #refuse(scope: 'job' | 'target', target: string | null, problem: Failure): void {
    this.#say({ kind: 'refused', scope, target, failure: problem.report() });
  }

  async #add(target: HelperTarget): Promise<void> {
    const job = this.#job;
    if (!job || this.#over) return;
    try {
      await this.#handed.promise;
      const [disk = null] = await this.#open([target], job);
      this.#send({ kind: 'add', target, disk });
    } catch (error) {
      if (this.#over || this.#abort.signal.aborted) return;
      const problems =
        error instanceof Refusals ? error.refusals : [{ target: target.path, failure: asFailure(error) }];
      for (const { failure } of problems) this.#refuse('target', target.path, failure);
    }
  }

  /** Opens all of `targets` and hands them to the worker, or none: rejects with Refusals, or why it was ended. */
  async #open(targets: readonly HelperTarget[], job: HelperJob): Promise<(Handed | null)[]> {
    const { signal } = this.#abort;
    this.#say({ kind: 'step', step: 'checking', target: null });
    const checked = await this.#check(targets, job);
    signal.throwIfAborted();
    for (const [index, each] of checked.entries()) {
      for (const at of each?.mounts ?? []) {
        const target = targets[index]?.path ?? '';
        this.#say({ kind: 'step', step: 'unmounting', target });
        await unmount(target, at, signal).catch((error: unknown) => {
          throw signal.aborted ? error : new Refusals([{ target, failure: asFailure(error) }]);
        });
      }
    }
    const opened: (Held | null)[] = [];
    try {
      for (const each of checked) opened.push(each && (await this.#openDisk(each)));
      signal.throwIfAborted();
      return opened.map((each) => each && this.#hand(each));
    } catch (error) {
      await Promise.all(opened.map((each) => each?.disk.close()));
      throw error;
    }
  }

  /** Null for a virtual disk: it is a file, and the asking user's rights are what counts there. */
  async #check(targets: readonly HelperTarget[], job: HelperJob): Promise<(Checked | null)[]> {
    const refusals: Refusals[] = [];
    const checked = await Promise.all(
      targets.map(async (target) => {
        if (target.kind === 'virtual') return null;
        return checkDisk(target, job.image, job.unmount).catch((error: unknown) => {
          if (!(error instanceof Refusals)) throw error;
          refusals.push(error);
          return null;
        });
      }),
    );
    if (refusals.length > 0) throw new Refusals(refusals.flatMap((each) => each.refusals));
    const known = await Promise.all(
      targets.map(async ({ path }, index) => {
        const identity = checked[index]?.identity ?? (await identify(path).catch(() => null));
        return identity ? [{ path, identity }] : [];
      }),
    );
    const inUse = [...this.#held.values()].map(({ disk, identity }) => ({ path: disk.path, identity }));
    checkTwice([...inUse, ...known.flat()]);
    return checked;
  }

  async #openDisk({ spec, identity }: Checked): Promise<Held> {
    const { signal } = this.#abort;
    const target = spec.path;
    this.#say({ kind: 'step', step: 'opening', target });
    try {
      const disk = await openDisk(spec, { signal, patience: 5000 });
      await keepUnmounted(identity.diskseq);
      return { disk, identity };
    } catch (error) {
      throw signal.aborted ? error : new Refusals([{ target, failure: asFailure(error) }]);
    }
  }

  #hand(held: Held): Handed {
    const index = this.#nextIndex++ % 256;
    sendDescriptor(this.#ends.disks, held.disk.descriptor, index);
    this.#held.set(index, held);
    return { index, direct: held.disk.direct };
  }

  /** Takes what the worker says: two bytes for each of the verbs, and nothing else. */
  #verbs(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.#verb === undefined) {
        this.#verb = byte;
        continue;
      }
      const verb = this.#verb;
      this.#verb = undefined;
      const held = this.#held.get(byte);
      if (held && verb === verbs.closed) {
        this.#held.delete(byte);
        void held.disk.close().catch(() => {});
      } else if (held && verb === verbs.reread && !this.#rereading.has(byte)) {
        void this.#reread(byte, held.disk);
      } else {
        // No worker says this: it is no longer what was started.
        this.#ends.worker.destroy();
        return;
      }
    }
  }

  async #reread(index: number, disk: DescriptorDisk): Promise<void> {
    this.#rereading.add(index);
    const done = await disk.rereadPartitions().catch(() => false);
    this.#rereading.delete(index);
    this.#send({ kind: 'reread', index, done });
  }

  #say(reply: HelperReply): void {
    this.#send({ kind: 'reply', reply });
  }

  #send(line: ToWorker): void {
    const { worker } = this.#ends;
    if (worker.writable) worker.write(`${JSON.stringify(line)}\n`);
  }
}
