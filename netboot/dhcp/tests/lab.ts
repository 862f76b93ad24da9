/** Networks for tests: namespaces with a bridge, and programs inside them that end with the test. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const run = promisify(execFile);
let count = 0;

/** Why a test that needs namespaces and these tools cannot run here, or false. */
export function lacks(...tools: readonly string[]): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux for namespaces';
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const missing = ['ip', ...tools].filter(
    (tool) =>
      !folders.some((folder) => {
        try {
          accessSync(join(folder, tool), constants.X_OK);
          return true;
        } catch {
          return false;
        }
      }),
  );
  if (missing.length > 0) return `needs ${missing.join(', ')}`;
  return existsSync('/proc/self/ns/net') ? false : 'needs network namespaces';
}

async function ip(...args: readonly string[]): Promise<void> {
  await run('ip', [...args]);
}

export interface Running {
  readonly child: ChildProcess;
  /** Everything it printed so far, both streams. */
  readonly output: () => string;
  /** Resolves with its exit code. */
  readonly ended: Promise<number | null>;
  /** The first line that `wanted` accepts after `skip` others, also of lines already printed. Fails when the program ends before. */
  readonly line: (wanted: (line: string) => boolean, skip?: number) => Promise<string>;
  /** As `line`, of the lines after the one that it gave before. */
  readonly next: (wanted: (line: string) => boolean) => Promise<string>;
}

export class Lab {
  readonly folder: string;
  private readonly spaces: string[] = [];
  private readonly children: ChildProcess[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<Lab> {
    return new Lab(await mkdtemp(join(tmpdir(), 'bty-dhcp-')));
  }

  /** A new namespace. */
  async space(): Promise<string> {
    const name = `btyd${process.pid}x${count++}`;
    await ip('netns', 'add', name);
    this.spaces.push(name);
    await ip('-n', name, 'link', 'set', 'lo', 'up');
    return name;
  }

  /** A cable between two namespaces; both ends are up, with addresses like "10.0.0.1/24" where given. */
  async cable(
    [spaceA, nameA, addressA]: readonly [string, string, string?],
    [spaceB, nameB, addressB]: readonly [string, string, string?],
  ): Promise<void> {
    await ip('-n', spaceA, 'link', 'add', nameA, 'type', 'veth', 'peer', 'name', nameB, 'netns', spaceB);
    for (const [space, name, address] of [
      [spaceA, nameA, addressA],
      [spaceB, nameB, addressB],
    ] as const) {
      if (address) await ip('-n', space, 'addr', 'add', address, 'dev', name);
      await ip('-n', space, 'link', 'set', name, 'up');
    }
  }

  async ip(...args: readonly string[]): Promise<void> {
    await ip(...args);
  }

  /** Starts a program in a namespace. */
  start(space: string, program: string, args: readonly string[], environment = process.env): Running {
    const child = spawn('ip', ['netns', 'exec', space, program, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...environment, PATH: `${environment.PATH ?? ''}:/usr/sbin:/sbin` },
    });
    this.children.push(child);
    return watch(child);
  }

  /** Runs a program to its end; answers with its output and code. */
  async run(
    space: string,
    program: string,
    args: readonly string[],
  ): Promise<{ text: string; code: number | null }> {
    const running = this.start(space, program, args);
    const code = await running.ended;
    return { text: running.output(), code };
  }

  /** A program of this project, in a namespace. */
  node(space: string, file: string, args: readonly string[]): Running {
    return this.start(space, process.execPath, ['--disable-warning=ExperimentalWarning', file, ...args]);
  }

  async close(): Promise<void> {
    const running = this.children.filter(
      ({ pid, exitCode, signalCode }) => pid !== undefined && exitCode === null && signalCode === null,
    );
    // What still runs could write into the folder while that is removed.
    const ended = running.map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of running) child.kill('SIGKILL');
    await Promise.all(ended);
    for (const space of this.spaces) await ip('netns', 'del', space).catch(() => {});
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Milliseconds that a line is waited for. */
const patience = 180_000;

function watch(child: ChildProcess): Running {
  const lines: string[] = [];
  let text = '';
  let isOver = false;
  const listeners = new Set<() => void>();
  const heard = () => {
    for (const listener of [...listeners]) listener();
  };
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    stream.on('data', (data: Buffer) => {
      text += data.toString('latin1');
    });
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      heard();
    });
  }
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      isOver = true;
      resolve(code);
      heard();
    });
    child.once('error', () => {
      isOver = true;
      resolve(null);
      heard();
    });
  });
  /** The line that is wanted, and how many there are until then. */
  const find = (wanted: (line: string) => boolean, skip: number, from: number) =>
    new Promise<readonly [line: string, until: number]>((resolve, reject) => {
      // A line is looked at once: there can be hundreds of thousands, and a program waits for who reads it.
      let looked = from;
      let before = 0;
      const look = () => {
        let found: string | undefined;
        while (found === undefined && looked < lines.length) {
          const next = lines[looked++] ?? '';
          if (wanted(next) && before++ === skip) found = next;
        }
        if (found === undefined && !isOver) return;
        listeners.delete(look);
        clearTimeout(late);
        if (found !== undefined) resolve([found, looked]);
        else reject(new Error(`the program ended before: ${text.slice(-2000)}`));
      };
      const late = setTimeout(() => {
        listeners.delete(look);
        reject(new Error(`nothing of the kind was printed in ${patience / 1000} s: ${text.slice(-2000)}`));
      }, patience);
      listeners.add(look);
      look();
    });
  const line = async (wanted: (line: string) => boolean, skip = 0) => (await find(wanted, skip, 0))[0];
  let last: Promise<number> = Promise.resolve(0);
  const next = async (wanted: (line: string) => boolean) => {
    const from = last;
    const found = from.then((start) => find(wanted, 0, start));
    last = found.then(
      ([, until]) => until,
      () => from,
    );
    return (await found)[0];
  };
  return { child, output: () => text, ended, line, next };
}

/** The server of `stand.ts` in a namespace, and its answers. */
export class Stand {
  readonly running: Running;

  private constructor(running: Running) {
    this.running = running;
  }

  static async start(
    lab: Lab,
    space: string,
    settings: unknown,
    options: { journal?: string; about?: string } = {},
  ): Promise<Stand> {
    const file = join(import.meta.dirname, 'stand.ts');
    const journal = options.journal ?? join(lab.folder, `${space}.journal`);
    const running = lab.node(space, file, [journal, JSON.stringify(settings), options.about ?? '']);
    const stand = new Stand(running);
    await stand.answer();
    return stand;
  }

  /** The next answer, `{done}` or `{failed}`. */
  async answer(): Promise<Record<string, unknown>> {
    const line = await this.running.next((text) => /^\{"(done|failed)"/.test(text));
    return JSON.parse(line) as Record<string, unknown>;
  }

  order(order: unknown): Promise<Record<string, unknown>> {
    this.running.child.stdin?.write(`${JSON.stringify(order)}\n`);
    return this.answer();
  }

  /** Waits for a step or news whose JSON holds every one of `parts`. */
  async sees(...parts: readonly string[]): Promise<string> {
    return this.running.line((line) => parts.every((part) => line.includes(part)));
  }
}
