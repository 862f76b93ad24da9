/** One pretend machine: firmware of a named model, iPXE and a live system, over real sockets. */
import { setTimeout as pause } from 'node:timers/promises';
import { Firmware, type Timed } from './firmware.ts';
import { filesOf, Live } from './live.ts';
import type { Model } from './model.ts';
import type { Wire } from './wire.ts';

/** Milliseconds until a machine that failed is switched on again. */
const powerPause = 3000;

export interface Outcome {
  readonly mac: string;
  readonly model: string;
  /** Milliseconds of each stage that was passed. */
  readonly stages: ReadonlyMap<string, number>;
  /** Why it did not come to its end, null when it did. */
  readonly problem: string | null;
}

export interface Wish {
  readonly wire: Wire;
  readonly model: Model;
  readonly index: number;
  /** Proves that the appliance says so, once a machine was flashed and told to boot its disk; null when none is bound. */
  readonly deployed: ((mac: string) => Promise<void>) | null;
  /** How often it is switched on before it is given up: firmware that failed is started again by its lab. */
  readonly powerOns: number;
}

/** MAC of machine number `index`, of a range that belongs to no maker. */
export function macOf(index: number): string {
  const tail = [index >>> 24, index >>> 16, index >>> 8, index];
  return `02:5b:${tail.map((byte) => (byte & 255).toString(16).padStart(2, '0')).join(':')}`;
}

/** Boots one machine to its end: its plan, or, when machines are bound, the disk that was flashed. Never rejects. */
export async function bootMachine({ wire, model, index, deployed, powerOns }: Wish): Promise<Outcome> {
  const mac = macOf(index);
  const stages = new Map<string, number>();
  const timed: Timed = async (stage, work) => {
    const from = performance.now();
    const value = await work();
    stages.set(stage, performance.now() - from);
    return value;
  };
  const boot = async (turn: number) => {
    const told = await new Firmware(wire, model, mac, index, timed).start();
    const live = new Live(mac, told, timed);
    try {
      const script = await live.script(told.file);
      // It was flashed, and what came after that failed.
      if (turn > 1 && deployed !== null && filesOf(script) === null) return await deployed(mac);
      await live.load(script);
      const plan = await live.agent();
      if (deployed === null) return;
      if (plan !== 'flash') throw new Error(`its plan is "${plan}", although an image is bound to it`);
      await live.again();
    } finally {
      live.close();
    }
    await deployed(mac);
  };
  const whole = async () => {
    for (let turn = 1; ; turn++) {
      try {
        return await boot(turn);
      } catch (error) {
        if (turn >= powerOns) throw error;
        await pause(powerPause);
      }
    }
  };
  const problem = await timed('whole', whole).then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  return { mac, model: model.name, stages, problem };
}
