import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { type Failure, type FailureReport, failure } from '../../shared/failure.ts';
import type { FlashEvent } from '../../shared/flash/event.ts';
import { Conversation, type JobWish } from '../../shared/helper/client.ts';
import type { HelperCommand, HelperTarget } from '../../shared/helper/protocol.ts';
import type { HelperReply } from '../../shared/helper/reply.ts';
import { type Elevation, permissionFailure } from './elevate.ts';
import { childEnvironment } from './environment.ts';

export type HelperNews =
  /** The helper has its rights and its job. */
  | { readonly kind: 'working' }
  | { readonly kind: 'event'; readonly event: FlashEvent }
  /** A reason against the job, or against one disk of it. */
  | {
      readonly kind: 'refused';
      readonly scope: 'job' | 'target';
      readonly target: string | null;
      readonly failure: FailureReport;
    }
  /** The last news. `failure`: what ended the job before its work did, null when nothing did. */
  | { readonly kind: 'ended'; readonly failure: FailureReport | null };

/** One helper, for one job. It ends when this process does: its standard input closes then. */
export class Helper {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #elevated: boolean;
  readonly #conversation: Conversation;
  readonly #tell: (news: HelperNews) => void;
  #complaint = '';
  #unstarted: Failure | null = null;
  #cancelled = false;

  constructor(
    how: Exclude<Elevation, { kind: 'impossible' }>,
    wish: JobWish,
    tell: (news: HelperNews) => void,
  ) {
    this.#elevated = how.kind === 'pkexec';
    this.#conversation = new Conversation(wish);
    this.#tell = tell;
    this.#child = spawn(how.path, how.args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      // What pkexec complains about is told by its English words.
      env: { ...childEnvironment(process.env), ...(this.#elevated ? { LC_ALL: 'C' } : {}) },
      windowsHide: true,
    });
    this.#listen();
  }

  /** Ends the job. While the system still asks for permission, the question is taken back. */
  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    if (this.#conversation.stage === 'starting') {
      this.#child.stdin.end();
      this.#child.kill();
    } else this.#say({ kind: 'cancel' });
  }

  skipVerification(): void {
    this.#say({ kind: 'skip-verification' });
  }

  /** Asks for one more disk; false when it is too late or too early for that. */
  add(target: HelperTarget): boolean {
    return this.#say({ kind: 'add-target', target });
  }

  #say(command: HelperCommand): boolean {
    const line = this.#conversation.say(command);
    if (line === null || !this.#child.stdin.writable) return false;
    this.#child.stdin.write(line);
    return true;
  }

  #listen(): void {
    const child = this.#child;
    child.stdout.on('data', (bytes: Buffer) => {
      const { replies, send, close } = this.#conversation.receive(bytes);
      if (send !== null) child.stdin.write(send);
      for (const reply of replies) this.#pass(reply);
      if (close) child.stdin.end();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      this.#complaint = (this.#complaint + bytes.toString('utf8')).slice(-4096);
    });
    // Whoever has ended reads no more: its end says why.
    child.stdin.on('error', () => {});
    child.on('error', (error: NodeJS.ErrnoException) => {
      // One that runs as root cannot be ended by a signal of ours (EPERM): the end of its standard input tells it.
      if (child.pid !== undefined) return;
      const { code, message } = error;
      this.#unstarted ??= failure(
        'PROGRAM_MISSING',
        { program: child.spawnfile, problem: code ?? message },
        error,
      );
    });
    child.once('close', (code, signal) => {
      void this.#failureAtEnd(code, signal).then((found) =>
        this.#tell({ kind: 'ended', failure: found?.report() ?? null }),
      );
    });
  }

  #pass(reply: HelperReply): void {
    switch (reply.kind) {
      case 'hello':
        this.#tell({ kind: 'working' });
        break;
      case 'event':
        this.#tell({ kind: 'event', event: reply.event });
        break;
      case 'refused': {
        const scope = reply.scope === 'job' ? 'job' : 'target';
        this.#tell({ kind: 'refused', scope, target: reply.target, failure: reply.failure });
        break;
      }
      case 'step':
      case 'accepted':
      case 'finished':
        break;
    }
  }

  async #failureAtEnd(code: number | null, signal: NodeJS.Signals | null): Promise<Failure | null> {
    if (this.#unstarted) return this.#unstarted;
    if (this.#conversation.stage === 'starting') {
      if (this.#cancelled) return failure('CANCELLED', { untouched: true });
      if (this.#elevated) return permissionFailure({ code, signal, stderr: this.#complaint });
    }
    const found = this.#conversation.ended(this.#complaint);
    // One that was cancelled before its disks were begun says no more than that.
    if (found === null && this.#conversation.outcome === 'cancelled')
      return failure('CANCELLED', { untouched: true });
    return found;
  }
}
