/** Waits until the disks of a machine have appeared, and chooses among them. */
import { setTimeout as pause } from 'node:timers/promises';
import type { DiskRule } from '../../shared/contract/agent.ts';
import { asFailure } from '../../shared/failure.ts';
import { chooseDisk } from './choose.ts';
import { type LocalDisk, localDisks } from './inventory.ts';
import type { Machine } from './machine.ts';

export interface ChoiceOptions {
  readonly rule: DiskRule;
  readonly machine: Machine;
  readonly loops: boolean;
  readonly signal: AbortSignal;
}

const every = 500;

/**
 * The disk that `rule` means. A disk named by its serial number is taken as soon as it is there; every other rule
 * speaks of all disks, so it waits until no further one appears. Rejects with DISK_NOT_HERE or DISK_AMBIGUOUS.
 */
export async function awaitDisk({ rule, machine, loops, signal }: ChoiceOptions): Promise<LocalDisk> {
  await machine.devicesReady(signal);
  const began = performance.now();
  let known = '';
  let since = began;
  for (;;) {
    const disks = await list(loops, signal, performance.now() - began < machine.diskMilliseconds);
    const now = performance.now();
    const these = disks.map(({ path, serial, size_bytes }) => `${path} ${serial} ${size_bytes}`).join('\n');
    if (these !== known) [known, since] = [these, now];
    const settled = now - since >= machine.settleMilliseconds;
    try {
      const disk = chooseDisk(rule, disks);
      if (settled || rule.kind === 'serial') return disk;
    } catch (error) {
      const patient = asFailure(error).code === 'DISK_NOT_HERE' && now - began < machine.diskMilliseconds;
      if (settled && !patient) throw error;
    }
    await pause(every, undefined, { signal });
  }
}

/** The disks now. A tool that fails while drivers are still at work gets another chance. */
async function list(loops: boolean, signal: AbortSignal, patient: boolean): Promise<readonly LocalDisk[]> {
  try {
    return await localDisks({ loops, signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!patient || asFailure(error).code !== 'TOOL_FAILED') throw error;
    return localDisks({ loops, signal });
  }
}
