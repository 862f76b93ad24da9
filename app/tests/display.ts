import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { patience } from './processes.ts';

export interface Display extends AsyncDisposable {
  /** Value for DISPLAY. */
  readonly name: string;
}

/** A screen of its own, with nobody in front of it. */
export async function startDisplay(width = 1400, height = 1000): Promise<Display> {
  const args = [
    '-displayfd',
    '3',
    '-screen',
    '0',
    `${width}x${height}x24`,
    '-nolisten',
    'tcp',
    '-noreset',
    '-ac',
  ];
  const server = spawn('Xvfb', args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const numbers = server.stdio[3] as Readable;
  const [chunk] = (await once(numbers, 'data', { signal: AbortSignal.timeout(patience) })) as [Buffer];
  return {
    name: `:${chunk.toString('utf8').trim()}`,
    async [Symbol.asyncDispose]() {
      if (server.exitCode !== null) return;
      server.kill();
      await once(server, 'exit');
    },
  };
}
