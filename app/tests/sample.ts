import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A folder that is gone after the test. */
export async function folderFor(context: Pick<TestContext, 'after'>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-sample-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The same noise for the same seed. */
export function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let offset = 0; offset + 4 <= length; offset += 4) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeUInt32LE(state >>> 0, offset);
  }
  return bytes;
}

/** An image of `length` bytes with a GPT of two named partitions, and noise in them. */
export async function partitionedImage(path: string, length: number): Promise<string> {
  await writeFile(path, noise(length, 7));
  // In sectors of 512 bytes; the first and the last MiB belong to the table and to nobody.
  const free = Math.floor(length / 512) - 2 * 2048;
  const [first, second] = [Math.floor(free / 4), Math.floor(free / 2)];
  const table = `label: gpt\nstart=2048, size=${first}, type=U, name="EFI system"\nsize=${second}, type=L, name="root"\n`;
  execFileSync('sfdisk', ['--wipe', 'never', '--quiet', path], {
    input: table,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  return path;
}
