/** Helpers of the tests beside the inspectors. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ImageSource, RandomReader } from '../source/source.ts';

export { randomBytes as noise } from '../unpack/testing.ts';

/** mkfs and partition tools lie where only root's PATH leads. */
const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];

/** False when `tool` is installed; otherwise the reason for skipping a test. */
export function missing(tool: string, debianPackage = tool): false | string {
  const found = folders.some((folder) => existsSync(join(folder, tool)));
  return found ? false : `needs ${tool} (apt install ${debianPackage})`;
}

/** False when all of `tools` are installed; otherwise why not. */
export function missingAny(...tools: readonly (readonly [string, string])[]): false | string {
  return tools.map(([tool, debianPackage]) => missing(tool, debianPackage)).find(Boolean) || false;
}

/** Runs a reference tool and returns its standard output. */
export function tool(name: string, args: readonly string[], input?: Uint8Array | string): Buffer {
  return execFileSync(name, args, {
    input,
    maxBuffer: 1 << 28,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, PATH: folders.join(':'), LC_ALL: 'C.UTF-8' },
  });
}

/** A directory that is removed after the test. */
export async function temporaryDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bty-inspect-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Reads `bytes`; `most` bounds each read, as a pipe or a network does. */
export function memoryReader(bytes: Uint8Array, most = Number.POSITIVE_INFINITY): RandomReader {
  return {
    size: bytes.length,
    async read(into, position) {
      const part = bytes.subarray(position, position + Math.min(into.length, most));
      into.set(part);
      return part.length;
    },
  };
}

/** Reads the file at `path`, which is closed after the test. */
export async function fileReader(context: TestContext, path: string): Promise<RandomReader> {
  const handle = await open(path, 'r');
  context.after(() => handle.close());
  return {
    size: (await handle.stat()).size,
    async read(into, position) {
      return (await handle.read(into, 0, into.length, position)).bytesRead;
    },
  };
}

/** A source over `reader`, as a file is. */
export function readerSource(reader: RandomReader, name: string): ImageSource {
  return {
    kind: 'file',
    location: basename(name),
    name,
    size: reader.size,
    random: reader,
    reopenable: true,
    async head() {
      const into = new Uint8Array(Math.min(reader.size, 128 * 1024));
      let filled = 0;
      while (filled < into.length) {
        const count = await reader.read(into.subarray(filled), filled);
        if (count === 0) break;
        filled += count;
      }
      return into.subarray(0, filled);
    },
    async open() {
      let position = 0;
      return {
        async read(into) {
          const count = await reader.read(into, position);
          position += count;
          return count;
        },
        async close() {},
      };
    },
    async close() {},
  };
}
