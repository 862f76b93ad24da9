/** The app's end of the helper's pipes: as the app uses it, and as one uses it who means harm. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Conversation, type JobWish } from '../../shared/helper/client.ts';
import { Lines } from '../../shared/helper/lines.ts';
import {
  type HelperCommand,
  type HelperJob,
  type HelperTarget,
  protocolVersion,
  replyBytes,
} from '../../shared/helper/protocol.ts';
import { type HelperReply, parseReply } from '../../shared/helper/reply.ts';
import { alive, type Descendant, descendantsOf, entry } from './program.ts';

/** The user that the helper is asked by: "nobody" of Debian. */
export const nobody = 65534;

/** A loop device as a list shows it. */
export function listed(path: string, more: Partial<HelperTarget & { kind: 'disk' }> = {}): HelperTarget {
  const folder = `/sys/class/block/${basename(path)}`;
  return {
    kind: 'disk',
    path,
    size: Number(readFileSync(`${folder}/size`, 'latin1')) * 512,
    serial: null,
    diskseq: Number(readFileSync(`${folder}/diskseq`, 'latin1')),
    transport: null,
    allowLoop: true,
    allowSystemDisk: false,
    ...more,
  };
}

/** The usual job: `image` onto `targets`. */
export function wish(image: string, targets: HelperTarget[], more: Partial<JobWish> = {}): JobWish {
  return {
    image: /^https?:/.test(image)
      ? { kind: 'url', url: image, sha256: null }
      : { kind: 'file', path: image, sha256: null },
    targets,
    verify: 'full',
    bmap: null,
    sparse: false,
    unmount: false,
    allowCut: false,
    mayAddTargets: false,
    ...more,
  };
}

export function jobFor(nonce: string, wanted: JobWish): HelperJob {
  return { kind: 'job', version: protocolVersion, nonce, ...wanted };
}

export interface PeerOptions {
  /** Program and words before those of bty; Node.js with the checkout unless given. */
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Whether descriptors 3 and 4 are pipes to and from the caller, too. */
  readonly controls?: boolean;
}

/** Milliseconds after which a helper is taken for hung. */
const tooLong = 300_000;

/** Where Node.js keeps compiled modules, which only makes a start faster. */
const { NODE_COMPILE_CACHE } = process.env;
const compiled = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };

/** A running helper that pkexec(1) would have started for the user `nobody`. */
export class Peer {
  readonly child: ChildProcess;
  readonly replies: HelperReply[] = [];
  stderr = '';
  /** Resolves the exit code when the helper's pipes are closed. */
  readonly ended: Promise<number | null>;
  readonly #lines = new Lines(replyBytes);
  readonly #conversation: Conversation | undefined;
  #news = Promise.withResolvers<void>();
  #over = false;

  /** With `wanted` it behaves as the app does; without, what is written is up to the caller. */
  constructor(wanted: JobWish | null, { command, environment, controls }: PeerOptions = {}) {
    const [program = '', ...words] = command ?? [process.execPath, entry, 'helper'];
    this.child = spawn(program, words, {
      stdio: ['pipe', 'pipe', 'pipe', ...(controls ? (['pipe', 'pipe'] as const) : [])],
      env: environment ?? { PKEXEC_UID: `${nobody}`, PATH: '/usr/bin:/bin', ...compiled },
    });
    this.#conversation = wanted ? new Conversation(wanted) : undefined;
    this.child.stdin?.on('error', () => {});
    this.child.stderr?.on('data', (bytes: Buffer) => {
      this.stderr += bytes.toString();
    });
    this.child.stdout?.on('data', (bytes: Buffer) => this.#hear(bytes));
    const timer = setTimeout(() => this.child.kill('SIGKILL'), tooLong);
    this.ended = once(this.child, 'close').then(([code]) => {
      clearTimeout(timer);
      this.#over = true;
      this.#news.resolve();
      return code as number | null;
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  write(text: string | Uint8Array): void {
    this.child.stdin?.write(text);
  }

  say(command: HelperCommand): void {
    const line = this.#conversation?.say(command);
    assert.ok(line, 'the command can be said now');
    this.write(line);
  }

  /** Says it unless the helper's last word has come meanwhile. */
  sayInTime(command: HelperCommand): void {
    const line = this.#conversation?.say(command);
    assert.ok(line || this.outcome !== undefined, 'the command can be said until the outcome is known');
    if (line) this.write(line);
  }

  /** Closes the pipe to the helper. */
  leave(): void {
    this.child.stdin?.end();
  }

  /** The first reply, had or to come, that fits. */
  async reply<Kind extends HelperReply['kind']>(
    kind: Kind,
    fits: (reply: HelperReply & { kind: Kind }) => boolean = () => true,
  ): Promise<HelperReply & { kind: Kind }> {
    for (;;) {
      const found = this.replies.find(
        (each) => each.kind === kind && fits(each as HelperReply & { kind: Kind }),
      );
      if (found) return found as HelperReply & { kind: Kind };
      if (this.#over) throw new Error(`the helper ended without "${kind}": ${this.told()}`);
      await this.#news.promise;
    }
  }

  phase(name: string): Promise<unknown> {
    return this.reply('event', ({ event }) => event.kind === 'phase' && event.phase === name);
  }

  /** Everything that was said, for a failed assertion. */
  told(): string {
    const passing = ['source', 'progress'];
    const said = this.replies.filter((each) => each.kind !== 'event' || !passing.includes(each.event.kind));
    return `${said.map((each) => JSON.stringify(each)).join('\n')}\n${this.stderr}`;
  }

  /** How the job ended. */
  get outcome(): string | undefined {
    return this.replies.flatMap((each) => (each.kind === 'finished' ? [each.outcome] : []))[0];
  }

  /** Codes of all refusals. */
  get refusals(): string[] {
    return this.replies.flatMap((each) => (each.kind === 'refused' ? [each.failure.code] : []));
  }

  /** The helper's process and all that it started. */
  async family(): Promise<readonly Descendant[]> {
    return descendantsOf(this.pid);
  }

  #hear(bytes: Buffer): void {
    const conversation = this.#conversation;
    if (conversation) {
      const { replies, send, close } = conversation.receive(bytes);
      this.replies.push(...replies);
      if (send) this.write(send);
      if (close) this.leave();
    } else {
      for (const line of this.#lines.push(bytes)) {
        const parsed = parseReply(line);
        assert.ok(parsed.kind === 'valid', line);
        this.replies.push(parsed.value);
      }
    }
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** Waits until none of `family` lives; fails after two minutes. */
export async function allGone(family: readonly Descendant[]): Promise<void> {
  const deadline = performance.now() + 120_000;
  while ((await alive(family)).length > 0 && performance.now() < deadline) await pause(20);
  assert.deepEqual(await alive(family), [], 'no part of the helper outlives it');
}
