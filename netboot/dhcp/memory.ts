/** What is remembered of machines between their packets: forms tried and proven, boot files fetched. Bounded. */
import type { ReplyForm } from '../story/step.ts';
import type { Attempt } from './ladder.ts';
import type { MachineMemory } from './situation.ts';

/** Machines remembered at once; the one not heard of for longest is forgotten first. */
const mostMachines = 65_536;
/** Milliseconds in which fetches of boot files are counted. */
const fetchWindow = 120_000;
const mostFetchesKept = 16;

interface Machine {
  attempt: Attempt | null;
  vendorClass: string | null;
  fetches: number[];
  chained: number | null;
}

/** Vendor class without its version: firmware of one maker behaves alike. */
function familyOf(vendorClass: string | null): string | null {
  return vendorClass === null ? null : vendorClass.slice(0, 64);
}

export class Memory {
  private readonly machines = new Map<string, Machine>();
  private readonly worked = new Map<string, ReplyForm>();
  /** Told when a form proves itself for a MAC or a vendor class, to be kept for ever. */
  onWorked: (of: string, form: ReplyForm) => void = () => {};

  get learned(): IterableIterator<[string, ReplyForm]> {
    return this.worked.entries();
  }

  learn(of: string, form: ReplyForm): void {
    this.worked.delete(of);
    this.worked.set(of, form);
    if (this.worked.size > 2 * mostMachines) this.worked.delete(this.worked.keys().next().value ?? '');
  }

  private machine(mac: string): Machine {
    const found = this.machines.get(mac) ?? { attempt: null, vendorClass: null, fetches: [], chained: null };
    this.machines.delete(mac);
    this.machines.set(mac, found);
    if (this.machines.size > mostMachines) this.machines.delete(this.machines.keys().next().value ?? '');
    return found;
  }

  view(mac: string | null, vendorClass: string | null, now: number): MachineMemory {
    const machine = mac === null ? undefined : this.machines.get(mac);
    const fetches = machine?.fetches.filter((at) => now - at < fetchWindow).length ?? 0;
    return {
      attempt: machine?.attempt ?? null,
      remembered: this.rememberedOf(mac, vendorClass),
      fetches,
      chained: machine?.chained ?? null,
    };
  }

  private rememberedOf(mac: string | null, vendorClass: string | null): MachineMemory['remembered'] {
    const byMac = mac === null ? undefined : this.worked.get(`mac/${mac}`);
    if (byMac !== undefined) return { form: byMac, from: 'this machine' };
    const family = familyOf(vendorClass);
    const byClass = family === null ? undefined : this.worked.get(`class/${family}`);
    return byClass === undefined ? null : { form: byClass, from: `machines of the class ${family}` };
  }

  attempted(mac: string, attempt: Attempt, vendorClass: string | null): void {
    const machine = this.machine(mac);
    machine.attempt = attempt;
    machine.vendorClass = vendorClass;
  }

  /** It was told to load our iPXE. */
  chained(mac: string, now: number): void {
    this.machine(mac).chained = now;
  }

  /**
   * It began to fetch a boot file by TFTP or HTTP: the form of the last offer works for it and its class, and one
   * more fetch is counted until it asks for a script.
   */
  fetched(mac: string, now: number): void {
    const machine = this.machine(mac);
    machine.fetches = [...machine.fetches.filter((at) => now - at < fetchWindow), now].slice(
      -mostFetchesKept,
    );
    this.proven(mac, machine);
  }

  /** It asked for a script: whatever it loaded before did its work. */
  scripted(mac: string): void {
    const machine = this.machine(mac);
    machine.fetches = [];
    machine.chained = null;
    machine.attempt = null;
  }

  /** The clock was set: fetches that were counted are as long ago as before. */
  moveTime(by: number): void {
    for (const machine of this.machines.values()) {
      machine.fetches = machine.fetches.map((at) => at + by);
      if (machine.chained !== null) machine.chained += by;
    }
  }

  /** An operator starts anew with this machine. */
  forgive(mac: string): void {
    this.machines.delete(mac);
    this.worked.delete(`mac/${mac}`);
  }

  private proven(mac: string, machine: Machine): void {
    const { attempt, vendorClass } = machine;
    if (attempt === null) return;
    machine.attempt = null;
    const family = familyOf(vendorClass);
    for (const of of [`mac/${mac}`, ...(family === null ? [] : [`class/${family}`])]) {
      if (this.worked.get(of) === attempt.form) continue;
      this.learn(of, attempt.form);
      this.onWorked(of, attempt.form);
    }
  }
}
