import { stat, writeFile } from 'node:fs/promises';
import { ExitCode, failure } from '../../shared/failure.ts';
import { createBmap } from '../bmap/create.ts';
import { type BlockMap, parseBmap } from '../bmap/parse.ts';
import { problemOf } from '../source/problem.ts';
import type { Command } from './command.ts';
import { Meter } from './meter.ts';
import { print, printJson } from './output.ts';
import { visible } from './visible.ts';

/** `bty bmap create`. */
export const runCreate: Command<'bmap create'> = async ({ image, output, json }, { signal }) => {
  if (output !== undefined) await checkOutput(output, image);
  const text = await withMeter(image, (onProgress) => createBmap(image, { signal, onProgress }));
  if (output !== undefined) await write(output, text);
  const map = parseBmap(Buffer.from(text), image);
  if (json) printJson('bmap-create', fields(map, image, output, text));
  else if (output === undefined) print(text.trimEnd());
  else print(`${visible(output)}: ${map.mappedBytes} of ${map.imageSize} bytes hold data`);
  return ExitCode.ok;
};

const fields = (map: BlockMap, image: string, output: string | undefined, text: string) => ({
  image,
  path: output ?? null,
  image_size_bytes: map.imageSize,
  mapped_bytes: map.mappedBytes,
  block_size: map.blockSize,
  ranges: map.ranges.length,
  bmap: output === undefined ? text : null,
});

async function withMeter(
  image: string,
  work: (onProgress: (progress: { bytes: number; total: number }) => void) => Promise<string>,
): Promise<string> {
  const meter = new Meter(image);
  try {
    return await work(({ bytes, total }) => meter.show(bytes, total));
  } finally {
    meter.end();
  }
}

/** Two words in the wrong order must not cost the image, nor a disk. */
async function checkOutput(output: string, image: string): Promise<void> {
  const [there, original] = await Promise.all([output, image].map((path) => stat(path).catch(() => null)));
  if (!there) return;
  if (original && there.dev === original.dev && there.ino === original.ino) {
    throw failure('USAGE', { problem: `--output names the image ${image} itself.` });
  }
  if (there.isBlockDevice()) throw failure('OUTPUT_FAILED', { file: output, problem: 'it is a disk' });
}

async function write(output: string, text: string): Promise<void> {
  try {
    await writeFile(output, text);
  } catch (error) {
    throw failure('OUTPUT_FAILED', { file: output, problem: problemOf(error) }, error);
  }
}
