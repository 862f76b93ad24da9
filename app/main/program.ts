import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { failure } from '../../shared/failure.ts';
import { childEnvironment } from './environment.ts';

/** How the program `bty` is started: a path and the arguments that come before its own. */
export interface Program {
  readonly path: string;
  readonly before: readonly string[];
}

/** The programs that the app starts. */
export interface Programs {
  /** Lists disks, looks into images, writes. */
  readonly bty: Program;
  /** The appliance. */
  readonly appliance: Program;
}

/** Beside the app where it is packed; in a checkout, the sources on the Node.js that came with them. */
export function programsOf(packed: boolean, resources: string, checkout: string): Programs {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const node = join(checkout, 'node_modules', '.bin', 'node');
  const found = (name: string, folder: string): Program => {
    if (packed) return { path: join(resources, `${name}${suffix}`), before: [] };
    return {
      path: node,
      before: ['--disable-warning=ExperimentalWarning', join(checkout, folder, 'main.ts')],
    };
  };
  return { bty: found('bty', 'agent'), appliance: found('bty-web', 'netboot') };
}

/** Most bytes of an answer. */
const answerBytes = 16 * 1024 * 1024;

/**
 * The JSON that `bty` with `args` prints. Rejects with PROGRAM_MISSING when it cannot be started, and with
 * PROGRAM_FAILED and its own words when it fails or prints something else; `purpose` completes the words "could not".
 */
export async function ask(
  program: Program,
  args: readonly string[],
  purpose: string,
  signal: AbortSignal,
): Promise<unknown> {
  const child = spawn(program.path, [...program.before, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: childEnvironment(process.env),
    signal,
    windowsHide: true,
  });
  const [output, complaint] = await Promise.all([
    textOf(child.stdout, answerBytes),
    textOf(child.stderr, 64 * 1024),
    ended(child, program),
  ]);
  try {
    return JSON.parse(output) as unknown;
  } catch (error) {
    throw failure('PROGRAM_FAILED', { purpose, problem: problemIn(complaint) }, error);
  }
}

/** The sentence and the advice that `bty` prints on standard error. */
function problemIn(complaint: string): string {
  const text = complaint
    .replace(/^bty(-web)?: /, '')
    .replaceAll('\n', ' ')
    .trim();
  return text === '' ? 'bty said nothing.' : text.slice(0, 2000);
}

function ended(child: ChildProcessByStdio<null, Readable, Readable>, program: Program): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.name === 'AbortError') reject(error);
      else
        reject(
          failure('PROGRAM_MISSING', { program: program.path, problem: error.code ?? error.message }, error),
        );
    });
    child.once('close', () => resolve());
  });
}

async function textOf(stream: Readable, most: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    // What is too long is read to its end, so that the program does not stand waiting, and then not used.
    length += chunk.length;
    if (length <= most) chunks.push(chunk);
  }
  return length <= most ? Buffer.concat(chunks).toString('utf8') : '';
}
