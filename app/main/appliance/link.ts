import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import {
  type DesktopReply,
  type DesktopRequest,
  desktopBytes,
  desktopLine,
  parseDesktopReply,
} from '../../../shared/desktop/protocol.ts';
import { type Failure, type FailureReport, failure, fromReport } from '../../../shared/failure.ts';
import { Lines } from '../../../shared/helper/lines.ts';
import { type Elevation, permissionFailure } from '../elevate.ts';
import { childEnvironment } from '../environment.ts';

/** The app's end of the conversation with one appliance, which it started or found running. */
export interface Link {
  say(request: DesktopRequest): void;
  /** Ends the appliance by force, or takes the question for permission back. */
  kill(): void;
}

export interface LinkListener {
  readonly heard: (reply: DesktopReply) => void;
  /** Called once, last. */
  readonly ended: (failure: FailureReport) => void;
}

/** Bytes of a log that is put aside when the next appliance is started. */
const longLog = 8 << 20;

/** Starts an appliance. Its log goes to the file at `logPath` by itself, so that it goes on when this app has ended. */
export function startAppliance(
  how: Exclude<Elevation, { kind: 'impossible' }>,
  logPath: string,
  listener: LinkListener,
): Link {
  const log = openLog(logPath);
  const before = sizeOf(logPath);
  const child = spawn(how.path, how.args, {
    stdio: ['pipe', 'pipe', log],
    // What pkexec complains about is told by its English words.
    env: { ...childEnvironment(process.env), ...(how.kind === 'pkexec' ? { LC_ALL: 'C' } : {}) },
    // What a terminal sends to the app is not meant for it.
    detached: true,
    windowsHide: true,
  });
  closeSync(log);
  const { stdin, stdout } = child;
  if (!stdin || !stdout) throw new Error('the pipes of the appliance were not made');
  const conversation = converse(stdout, stdin, listener.heard);
  let unstarted: Failure | null = null;
  child.once('error', (error: NodeJS.ErrnoException) => {
    const problem = error.code ?? error.message;
    unstarted ??= failure('PROGRAM_MISSING', { program: how.path, problem }, error);
  });
  child.once('close', (code, signal) => {
    const said = textFrom(logPath, before);
    const reason = async () => {
      if (unstarted) return unstarted;
      if (conversation.failure) return fromReport(conversation.failure);
      if (how.kind === 'pkexec' && conversation.pid === null)
        return permissionFailure({ code, signal, stderr: said }, 'ports');
      return failure('APPLIANCE_ENDED', { said: lastWords(said, code, signal) });
    };
    void reason().then((found) => listener.ended(found.report()));
  });
  return { say: conversation.say, kill: () => end(child, conversation.pid) };
}

/** Speaks with an appliance that was left running; null when there is none at `socketPath`. */
export function findAppliance(socketPath: string, listener: LinkListener): Promise<Link | null> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('error', () => resolve(null));
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      socket.on('error', () => {});
      const conversation = converse(socket, socket, listener.heard);
      socket.once('close', () => {
        const ended = failure('APPLIANCE_ENDED', { said: 'nothing.' }).report();
        listener.ended(conversation.failure ?? ended);
      });
      resolve({
        say: conversation.say,
        kill: () => {
          if (conversation.pid !== null) signalTo(conversation.pid);
        },
      });
    });
  });
}

interface Conversation {
  readonly say: (request: DesktopRequest) => void;
  readonly pid: number | null;
  readonly failure: FailureReport | null;
}

function converse(input: Readable, output: Writable, heard: (reply: DesktopReply) => void): Conversation {
  const lines = new Lines(desktopBytes);
  let pid: number | null = null;
  let last: FailureReport | null = null;
  output.on('error', () => {});
  input.on('data', (bytes: Buffer) => {
    for (const line of lines.push(bytes)) {
      const parsed = parseDesktopReply(line);
      // What a newer appliance says beyond what is known here is passed over.
      if (parsed.kind === 'invalid') continue;
      const reply = parsed.value;
      if (reply.kind === 'begun' || reply.kind === 'listening') pid = reply.pid;
      if (reply.kind === 'failed') last = reply.failure as FailureReport;
      heard(reply);
    }
  });
  return {
    say: (request) => {
      if (output.writable) output.write(desktopLine(request));
    },
    get pid() {
      return pid;
    },
    get failure() {
      return last;
    },
  };
}

/** pkexec becomes the appliance, and that becomes the user: before, only a request to end is heeded. */
function end(child: ChildProcess, pid: number | null): void {
  if (pid === null) child.kill('SIGTERM');
  else signalTo(pid);
}

function signalTo(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

function openLog(path: string): number {
  if (sizeOf(path) > longLog) renameSync(path, `${path}.old`);
  return openSync(path, 'a', 0o600);
}

export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Text of a file from byte `start` on, at most its last 64 KiB. */
function textFrom(path: string, start: number): string {
  const size = sizeOf(path);
  const from = Math.max(start, size - 65_536);
  if (size <= from) return '';
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(size - from);
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from)).toString('utf8');
  } finally {
    closeSync(file);
  }
}

function lastWords(log: string, code: number | null, signal: string | null): string {
  if (signal !== null) return `ended by ${signal}.`;
  const line = log.trim().split('\n').at(-1)?.slice(0, 300);
  return line || `status ${code}.`;
}
