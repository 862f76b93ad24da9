/** A word to UEFI firmware about the flashed disk, by efibootmgr(8). */
import { readdir } from 'node:fs/promises';
import { asFailure } from '../../shared/failure.ts';
import { runTool, type ToolRunner } from '../disk/tool.ts';

export interface BootEntryOptions {
  /** Path of the disk. */
  readonly disk: string;
  /** Number of its EFI system partition, null where it has none. */
  readonly esp: number | null;
  /** Name of the image, for the firmware's menu. */
  readonly title: string;
  /** Whether the entry stays, at the end of BootOrder. */
  readonly keep: boolean;
  readonly signal: AbortSignal;
  readonly run?: ToolRunner;
  /** Folder of the firmware's variables. */
  readonly variables?: string;
}

const loaders: Readonly<Record<string, string>> = {
  x64: '\\EFI\\BOOT\\BOOTX64.EFI',
  arm64: '\\EFI\\BOOT\\BOOTAA64.EFI',
};

/**
 * BootNext to the flashed disk; entries that earlier flashes left are taken away. Resolves a sentence about what was
 * done, or why it was not: the image is on the disk either way.
 */
export async function makeBootEntry(options: BootEntryOptions): Promise<string> {
  const { disk, esp, title, keep, signal, run: runner = runTool } = options;
  const { variables = '/sys/firmware/efi/efivars' } = options;
  const found = await readdir(variables).catch(() => []);
  if (found.length === 0) return 'No boot entry was made: this machine was not booted by UEFI.';
  if (esp === null) return 'No boot entry was made: the image has no EFI system partition.';
  const label = `bty ${title}`.replace(/[^\w .+-]/g, '_').slice(0, 60);
  const purpose = 'make a boot entry';
  const run = (...args: readonly string[]) =>
    runner({ tool: 'efibootmgr', args, purpose, signal, timeout: 30_000 });
  try {
    const before = entriesOf(await run());
    const ours = before.filter((entry) => entry.label.startsWith('bty '));
    for (const { number } of ours) await run('--quiet', '--bootnum', number, '--delete-bootnum');
    const place = ['--disk', disk, '--part', `${esp}`, '--loader', loaders[process.arch] ?? ''];
    const after = await run('--create-only', ...place, '--label', label);
    const made = entriesOf(after).find((entry) => entry.label.startsWith(label))?.number;
    if (made === undefined) return 'No boot entry was made: the firmware does not list it.';
    await run('--quiet', '--bootnext', made);
    // The firmware may have used the number of an entry again that was in the order before.
    if (keep) await run('--quiet', '--bootorder', [...orderOf(after, ours), made].join(','));
    return `The firmware was told to boot ${disk} next (entry ${made}).`;
  } catch (error) {
    return `No boot entry was made: ${asFailure(error).message}`;
  }
}

interface Entry {
  readonly number: string;
  /** Name, and with some versions the path behind it. */
  readonly label: string;
}

/** Entries as `Boot0001* name`; a star stands where they are active, a blank where not. */
export function entriesOf(listing: string): readonly Entry[] {
  return [...listing.matchAll(/^Boot([0-9A-F]{4})[* ] ?(.*)$/gim)].flatMap(([, number, label]) =>
    number === undefined || label === undefined ? [] : [{ number, label }],
  );
}

/** Numbers in BootOrder that still have an entry and are not those that were taken away. */
function orderOf(listing: string, gone: readonly Entry[]): readonly string[] {
  const order = /^BootOrder: ([0-9A-F,]+)\s*$/im.exec(listing)?.[1]?.split(',') ?? [];
  const known = new Set(entriesOf(listing).map(({ number }) => number.toUpperCase()));
  for (const { number } of gone) known.delete(number.toUpperCase());
  return [...new Set(order.map((number) => number.toUpperCase()))].filter((number) => known.has(number));
}
