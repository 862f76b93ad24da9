/** What follows the writing: the partition table fitted to the disk, and a word to the firmware. */
import type { BootEntry } from '../../shared/contract/agent.ts';
import { asFailure } from '../../shared/failure.ts';
import type { DiskHandle } from '../disk/handle.ts';
import { openDisk } from '../disk/open.ts';
import { readPartitionTable } from '../inspect/partitions.ts';
import { makeBootEntry } from './bootentry.ts';
import { fitTable } from './gpt.ts';
import type { LocalDisk } from './inventory.ts';
import { growFileSystem } from './partitions.ts';

export interface FinishOptions {
  readonly disk: LocalDisk;
  readonly allowLoop: boolean;
  readonly grow: boolean;
  readonly bootEntry: BootEntry;
  /** Name of the image, for the firmware's menu. */
  readonly title: string;
  readonly signal: AbortSignal;
}

/**
 * Fits the table and makes the boot entry. Resolves sentences about what was done and what did not work: the image
 * is on the disk either way.
 */
export async function finish(options: FinishOptions): Promise<readonly string[]> {
  const notices: string[] = [];
  let esp: number | null = null;
  try {
    const { disk, allowLoop, signal } = options;
    const handle = await openDisk(
      {
        kind: 'device',
        path: disk.path,
        allowLoop,
        expected: { size: disk.size_bytes, serial: disk.serial, diskseq: disk.diskseq },
        imageName: options.title,
      },
      { signal, patience: 10_000 },
    );
    try {
      notices.push(...(await fitOn(handle, options.grow)));
      esp = await systemPartition(handle);
      if (!(await handle.rereadPartitions()))
        notices.push('The kernel did not read the new partition table.');
    } finally {
      await handle.close();
    }
  } catch (error) {
    notices.push(`The partition table could not be fitted to the disk: ${asFailure(error).message}`);
  }
  if (options.grow) notices.push(...(await growFileSystem(options.disk.path, options.signal)));
  if (options.bootEntry.kind !== 'none') {
    const { disk, title, signal } = options;
    notices.push(
      await makeBootEntry({ disk: disk.path, title, keep: options.bootEntry.kind === 'keep', esp, signal }),
    );
  }
  return notices;
}

/** Reads and writes whole blocks of the disk from page-aligned memory, as direct I/O wants it. */
async function fitOn(disk: DiskHandle, grow: boolean): Promise<readonly string[]> {
  const pages = 40; // 2.5 MiB: the largest list of partitions and its copy
  const memory = new Uint8Array(
    new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer,
  );
  const read = async (at: number, length: number): Promise<Uint8Array> => {
    const into = memory.subarray(0, length);
    for (let done = 0; done < length; ) {
      const count = await disk.read(into.subarray(done), at + done);
      if (count === 0) throw new Error(`the disk ends at byte ${at + done}`);
      done += count;
    }
    return Uint8Array.from(into);
  };
  const { writes, notes } = await fitTable({
    sectorSize: disk.blockSize,
    diskBytes: disk.size,
    grow,
    read,
  });
  for (const { at, bytes } of writes) {
    memory.set(bytes);
    for (let done = 0; done < bytes.length; )
      done += await disk.write(memory.subarray(done, bytes.length), at + done);
    await disk.flush();
  }
  await disk.dropCache();
  for (const { at, bytes } of writes) {
    if (Buffer.compare(await read(at, bytes.length), bytes) !== 0)
      throw new Error(`the disk gave back other bytes than were written at byte ${at}`);
  }
  return notes;
}

/** Number of the EFI system partition; null where there is none. */
async function systemPartition(disk: DiskHandle): Promise<number | null> {
  const block = Math.max(4096, disk.blockSize);
  const memory = new Uint8Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer);
  const reader = {
    size: disk.size,
    read: async (into: Uint8Array, position: number): Promise<number> => {
      const start = position - (position % block);
      const length = Math.min(block, disk.size - start);
      await disk.read(memory.subarray(0, length), start);
      const part = memory.subarray(position - start, Math.min(length, position - start + into.length));
      into.set(part);
      return part.length;
    },
  };
  const { partitions } = await readPartitionTable(reader, { diskBytes: disk.size });
  const found = partitions.find(
    ({ type }) => type.toLowerCase() === 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b' || /^(0x)?ef$/i.test(type),
  );
  return found?.number ?? null;
}
