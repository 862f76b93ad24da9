/** What the agent may do to the machine that it runs on. */
import { writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { After } from '../../shared/contract/agent.ts';
import { asFailure } from '../../shared/failure.ts';
import { names } from '../disk/kernel.ts';
import { runTool } from '../disk/tool.ts';
import { Screen } from './screen.ts';

export interface Machine {
  readonly screen: Screen;
  /** Sets the clock when it is far from `date`; resolves when that is done. */
  setClock(date: Date): Promise<void>;
  /** Resolves when the drivers of what is plugged in are loaded. */
  devicesReady(signal: AbortSignal): Promise<void>;
  /** Milliseconds for which the list of disks must stay the same before it counts as complete. */
  readonly settleMilliseconds: number;
  /** Milliseconds to wait for a disk that a plan names. */
  readonly diskMilliseconds: number;
  /**
   * Gets the kernel of the flashed disk ready for `leave('kexec')`. Resolves null when it is, else why it is not.
   */
  loadKernel(disk: string, signal: AbortSignal): Promise<string | null>;
  /** Says what the first process shall do when the agent ends; with `kexec` ends everything at once. */
  leave(next: After | 'shell'): Promise<void>;
}

/** Seconds that a clock may be wrong before it is set: certificates and logs bear less than a day. */
const clockTolerance = 120;

/** The live system's own machine. */
export async function liveMachine(): Promise<Machine> {
  const screen = await Screen.ofKernel();
  let clockSet = false;
  return {
    screen,
    settleMilliseconds: 3000,
    diskMilliseconds: 20_000,
    async setClock(date) {
      if (clockSet) return;
      clockSet = true;
      const wrong = Math.round((date.getTime() - Date.now()) / 1000);
      if (Math.abs(wrong) < clockTolerance) return;
      const seconds = Math.floor(date.getTime() / 1000);
      const call = { tool: 'date', args: ['-s', `@${seconds}`], purpose: 'set the clock' };
      await runTool(call).then(
        () =>
          screen.say(`The clock was ${Math.abs(wrong)} seconds ${wrong > 0 ? 'slow' : 'fast'}; it was set.`),
        () => screen.say('The clock is wrong and could not be set.'),
      );
    },
    async devicesReady(signal) {
      for (let waited = 0; waited < 60_000; waited += 100) {
        if ((await names('/run/bty')).includes('coldplugged')) return;
        await pause(100, undefined, { signal });
      }
    },
    async loadKernel(disk, signal) {
      return (await import('./kexec.ts')).loadKernel(disk, signal);
    },
    async leave(next) {
      // Should the loaded kernel not start, the firmware starts the disk.
      await writeFile('/run/bty/next', next === 'kexec' ? 'reboot' : next);
      if (next !== 'kexec') return;
      await runTool({ tool: 'sync', args: [], purpose: 'leave nothing unwritten', timeout: 60_000 });
      try {
        (await import('./kexec.ts')).startKernel();
      } catch (error) {
        screen.say(`The kernel of the disk did not start: ${asFailure(error).message}`);
      }
    },
  };
}

/** Any other machine: nothing of it is changed, and what would be is told. */
export function otherMachine(): Machine {
  const screen = Screen.ofProcess();
  return {
    screen,
    settleMilliseconds: 0,
    diskMilliseconds: 0,
    async setClock() {},
    async devicesReady() {},
    async loadKernel() {
      return 'this is no live system';
    },
    async leave(next) {
      screen.say(`The live system would now go on with: ${next}.`);
    },
  };
}
