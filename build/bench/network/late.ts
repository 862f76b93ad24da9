/** A TFTP client that acknowledges each window a millisecond late, as over a longer way. */
import { join } from 'node:path';
import { type Stage, serverAddress } from './stage.ts';

const program = join(import.meta.dirname, 'lateclient.ts');

/** MiB a second that `file` comes with. */
export async function fetchLate(stage: Stage, file: string): Promise<number> {
  const text = await stage.run(0, process.execPath, [
    '--disable-warning=ExperimentalWarning',
    ...[program, serverAddress, file],
  ]);
  const { bytes, milliseconds } = JSON.parse(text.trim().split('\n').at(-1) ?? '{}') as {
    bytes: number;
    milliseconds: number;
  };
  return bytes / 2 ** 20 / (milliseconds / 1000);
}
