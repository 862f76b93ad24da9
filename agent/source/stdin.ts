import { readFileSync } from 'node:fs';
import { isatty } from 'node:tty';
import { failure } from '../../shared/failure.ts';
import { openedFile } from './file.ts';
import { statusOf } from './file-descriptor.ts';
import { streamSource } from './file-stream.ts';
import { problemOf } from './problem.ts';
import { type ImageSource, standardInput } from './source.ts';

/**
 * Standard input, "-". A redirected file (`< image.img`) that was not read before is a file source. Rejects with
 * USAGE for a terminal.
 */
export async function stdinSource(descriptor = 0): Promise<ImageSource> {
  const names = { location: '-', name: standardInput, owned: false };
  if (isatty(descriptor)) {
    throw failure('USAGE', { problem: 'Standard input is a terminal; redirect an image to it.' });
  }
  let stats: Awaited<ReturnType<typeof statusOf>>;
  try {
    stats = await statusOf(descriptor);
  } catch (error) {
    throw failure('IMAGE_UNREADABLE', { image: standardInput, problem: problemOf(error) }, error);
  }
  if (stats.isDirectory())
    throw failure('IMAGE_UNREADABLE', { image: standardInput, problem: 'it is a directory' });
  if (stats.isFile() && offsetOf(descriptor) === 0) return openedFile(descriptor, stats, names);
  return streamSource(descriptor, names, stats.isFIFO() || stats.isSocket());
}

/** Where the next read(2) of a descriptor starts, null where the system does not tell (proc(5), fdinfo). */
function offsetOf(descriptor: number): number | null {
  try {
    const found = /^pos:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'));
    return found ? Number(found[1]) : null;
  } catch {
    return process.platform === 'linux' ? null : 0;
  }
}
