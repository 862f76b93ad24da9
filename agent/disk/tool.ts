import { execFile } from 'node:child_process';
import { failure } from '../../shared/failure.ts';
import { isSystemError } from '../system/native.ts';

export interface ToolCall {
  readonly tool: string;
  readonly args: readonly string[];
  /** What it is for, after "could not" and "is needed to", for example `list disks`. */
  readonly purpose: string;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; 30 seconds unless given: a small machine with many disks takes its time. */
  readonly timeout?: number;
}
export type ToolRunner = (call: ToolCall) => Promise<string>;

const largestOutput = 16 << 20;

/** Debian's package of a tool; the tools of other systems belong to them. */
const packageOf = (tool: string) => (tool === 'lsblk' ? { package: 'util-linux' } : {});

/** Runs a tool and resolves its standard output. Rejects with TOOL_MISSING, TOOL_FAILED or the signal's reason. */
export const runTool: ToolRunner = ({ tool, args, purpose, signal, timeout = 30_000 }) => {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const fail = (problem: string, cause?: unknown): void => {
      clearTimeout(timer);
      reject(failure('TOOL_FAILED', { tool, purpose, problem }, cause));
    };
    const child = execFile(
      tool,
      args,
      {
        encoding: 'utf8',
        maxBuffer: largestOutput,
        killSignal: 'SIGKILL',
        windowsHide: true,
        env: { ...process.env, LC_ALL: 'C' },
        ...(signal ? { signal } : {}),
      },
      (error, output, complaint) => {
        clearTimeout(timer);
        if (!error) resolve(output);
        else if (signal?.aborted) reject(signal.reason);
        else if (isSystemError(error, 'ENOENT', 'EACCES'))
          reject(failure('TOOL_MISSING', { tool, purpose, ...packageOf(tool) }, error));
        else fail(firstLine(complaint) ?? ending(error), error);
      },
    );
    // A tool that waits for a dead disk inside the kernel survives SIGKILL, so its end is not waited for.
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.unref();
      fail(`it gave no answer within ${timeout / 1000} seconds`);
    }, timeout);
  });
};

function firstLine(text: string): string | null {
  const line = text.trim().split('\n')[0]?.slice(0, 300);
  return line ? line : null;
}

function ending(error: Error): string {
  const code: unknown = 'code' in error ? error.code : null;
  if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return 'it printed more than 16 MiB';
  return typeof code === 'number' ? `it ended with status ${code}` : error.message;
}

/** The value in a tool's JSON. Throws TOOL_FAILED. */
export function parseToolJson(call: ToolCall, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { tool, purpose } = call;
    throw failure('TOOL_FAILED', { tool, purpose, problem: 'what it printed is not JSON' }, error);
  }
}
