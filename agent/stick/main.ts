/**
 * First program on the live stick: finds the stick, prepares it once, and tells the init scripts what to mount, as
 * lines "medium PATH", "images PATH" or "images PATH OFFSET" (bytes, where the kernel knows no partitions).
 */
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { kernel, names } from '../disk/kernel.ts';
import { runTool } from '../disk/tool.ts';
import { findSticks, partitionPath, type Stick } from './find.ts';
import { commandLineWord } from './identity.ts';
import { prepareStick } from './prepare.ts';

const [, , to = '/run/bty/stick'] = process.argv;
/** Milliseconds that a stick may take to appear after all that was there at the start was set up. */
const patience = 8000;

const say = (text: string) => process.stdout.write(`${text}\n`);

async function awaitStick(system: string): Promise<readonly Stick[]> {
  let since: number | null = null;
  for (;;) {
    const found = await findSticks(system, kernel);
    if (found.length > 0) return found;
    if (since === null && (await names('/run/bty')).includes('coldplugged')) since = performance.now();
    if (since !== null && performance.now() - since > patience) return [];
    await pause(250);
  }
}

async function prepare(sticks: readonly Stick[]): Promise<void> {
  const [stick] = sticks;
  if (!stick) return;
  if (sticks.length > 1) {
    say(`${sticks.length} sticks of this build are plugged in; none of them is changed.`);
    return;
  }
  try {
    const prepared = await prepareStick(stick);
    if (prepared.kind === 'left') say(prepared.reason);
    if (prepared.kind !== 'grown') return;
    say(`BTY_IMAGES now has ${(prepared.bytes / 1e9).toFixed(1)} GB.`);
    await runTool({ tool: 'blockdev', args: ['--rereadpt', stick.path], purpose: 'read the new table' });
  } catch (error) {
    say(`BTY_IMAGES was not enlarged: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

async function main(): Promise<void> {
  const words = (await readFile('/proc/cmdline', 'utf8')).split(/\s+/);
  const system = words.find((word) => word.startsWith(`${commandLineWord}=`))?.split('=')[1] ?? '';
  const sticks = system === '' ? [] : await awaitStick(system);
  await prepare(sticks);
  const lines = sticks.flatMap(({ path, images, hasPartitions }) => {
    const medium = `medium ${hasPartitions ? partitionPath(path, 1) : path}`;
    if (images === null) return [medium];
    const where = hasPartitions ? partitionPath(path, images.number) : `${path} ${images.start}`;
    return [medium, `images ${where}`];
  });
  if (lines.length === 0)
    say('The stick that this system was read from is not among the disks; images come from elsewhere.');
  await writeFile(to, lines.map((line) => `${line}\n`).join(''));
}

void main();
