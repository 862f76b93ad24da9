/** What iPXE does with the script of a machine, and what the live system does then: the agent's side of the contract. */
import { Agent } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import {
  bodyBytes,
  checkMessage,
  type Inventory,
  Plan,
  type Progress,
  type Status,
  Ticket,
} from '../../../shared/contract/agent.ts';
import type { Timed, Told } from './firmware.ts';
import { type Asked, get, load } from './http.ts';

const diskBytes = 64 << 30;
/** A broken wait for a person or for the image is told instead of waited for longer. */
const mostAsked = 40;
/** How often the scripts make iPXE ask for the machine's own script and load what it names, and the pauses between. */
const mostScripts = 10;
const scriptPause = 3000;
const mostLoads = 5;
const loadPause = 15_000;

function checked<Value>(
  found: { kind: 'valid'; value: Value } | { kind: 'invalid'; problem: string },
  what: string,
): Value {
  if (found.kind === 'valid') return found.value;
  throw new Error(`${what}: ${found.problem}`);
}

/** Addresses of kernel and initrds of a script, in their order. */
export function filesOf(
  script: string,
): { readonly kernel: string; readonly initrds: readonly string[] } | null {
  const base = /^set bty-base (\S+)$/m.exec(script)?.[1] ?? '';
  const named = (command: RegExp) =>
    [...script.matchAll(command)].map(([, url = '']) => url.replaceAll(/\$\{bty-base\}/g, base));
  const [kernel] = named(/^kernel (\S+)/gm);
  const initrds = named(/^initrd --name \S+ (\S+)/gm).slice(0, 2);
  return kernel === undefined ? null : { kernel, initrds };
}

export class Live {
  readonly #mac: string;
  readonly #address: string;
  readonly #base: string;
  readonly #timed: Timed;
  readonly #started = performance.now();
  /** The live system keeps its connection; iPXE opens one for each file. */
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  #token = '';

  constructor(mac: string, { address, file }: Told, timed: Timed) {
    this.#mac = mac;
    this.#address = address;
    this.#base = `${new URL(file).origin}`;
    this.#timed = timed;
  }

  get #own(): string {
    return `${this.#base}/pxe/${this.#mac.replaceAll(':', '-')}`;
  }

  /** The script that knows no machine, and the one of this machine. */
  async script(first: string): Promise<string> {
    return this.#timed('script', async () => {
      await this.#read(first);
      return again(mostScripts, scriptPause, () => this.#read(this.#own));
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  async #read(url: string): Promise<string> {
    const text = await get(url, { from: this.#address });
    if (!text.startsWith('#!ipxe')) throw new Error(`${url} is no script`);
    return text;
  }

  /** Kernel, ticket and initrd of `script`; asks for the script again when one of them does not come. */
  async load(script: string): Promise<void> {
    let next: string | null = script;
    await again(mostLoads, loadPause, async () => {
      const current = next ?? (await this.#read(this.#own));
      next = null;
      await this.#load(current);
    });
  }

  async #load(script: string): Promise<void> {
    const files = filesOf(script);
    const said = /^echo bty: (.*)$/m.exec(script)?.[1] ?? 'it says nothing';
    if (files === null) throw new Error(`the script starts no live system: ${said}`);
    const from = this.#address;
    await this.#timed('kernel', () => load(files.kernel, { from }));
    await this.#timed('initrd', async () => {
      for (const url of files.initrds) {
        if (url.includes('/ticket/')) this.#token = tokenOf(await get(url, { from }));
        else await load(url, { from });
      }
    });
    if (this.#token === '') throw new Error('no initrd holds the ticket');
  }

  /** Tells what the machine is made of, does what it is told; answers the kind of the plan. */
  async agent(): Promise<Plan['kind']> {
    await this.#timed('inventory', () => this.#post('inventory', this.#inventory()));
    const plan = await this.#timed('plan', () => this.#plan());
    if (plan.kind === 'flash') await this.#flash(plan);
    return plan.kind;
  }

  async #plan(): Promise<Plan> {
    const text = await patiently(() => get(`${this.#own}/plan`, this.#entitled()));
    return checked(checkMessage(Plan, JSON.parse(text)), 'plan');
  }

  async #flash(plan: Extract<Plan, { kind: 'flash' }>): Promise<void> {
    const disk = { path: '/dev/sim', serial: this.#mac };
    const tell = (step: Progress['step'], bytes: number) =>
      this.#post('progress', { plan: plan.id, attempt: 1, step, bytes, total: null, rate: null, disk });
    const written = await this.#timed('write', async () => {
      await tell('preparing', 0);
      const url = new URL(plan.image.url, this.#base).href;
      const image = await patiently(() => load(url, { from: this.#address, agent: this.#agent }));
      if (image.sha256 !== plan.image.sha256) throw new Error(`${url} is not what the plan names`);
      await tell('writing', image.bytes);
      await tell('verifying', image.bytes);
      return image;
    });
    await this.#timed('done', () =>
      this.#post('status', {
        ...{ status: 'done', plan: plan.id, attempt: 1, image_sha256: written.sha256 },
        ...{ image_bytes: written.bytes, verified: true, disk: { ...disk, size_bytes: diskBytes } },
        ...{
          seconds: { writing: (performance.now() - this.#started) / 1000 },
          after: plan.after,
          notices: [],
        },
      } satisfies Status),
    );
  }

  /** The next boot after a flash: anything but the disk would flash it again and again. */
  async again(): Promise<void> {
    const script = await this.#timed('next script', () => this.#read(this.#own));
    if (filesOf(script) !== null) throw new Error('the boot after the flash starts the live system again');
  }

  async #post(
    name: 'inventory' | 'progress' | 'status',
    message: Inventory | Progress | Status,
  ): Promise<void> {
    const body = JSON.stringify(message);
    if (body.length > bodyBytes) throw new Error(`${name} is too long`);
    await patiently(() => get(`${this.#own}/${name}`, { ...this.#entitled(), method: 'POST', body }));
  }

  #entitled(): Asked {
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' };
    return { from: this.#address, headers, agent: this.#agent };
  }

  #inventory(): Inventory {
    const none = { vendor: null, product: null, version: null, serial: null, uuid: null };
    const board = { board_vendor: null, board_name: null, board_serial: null };
    const flags = { removable: false, readonly: false, rotational: false, logical_block_size: 512 };
    const disk = { path: '/dev/sim', size_bytes: diskBytes, vendor: null, model: 'sim', serial: this.#mac };
    return {
      ...{ schema_version: 1, agent_version: 'sim', kernel: 'sim', architecture: 'x64' },
      firmware: { kind: 'bios', secure_boot: null },
      dmi: { ...none, ...board, bios_vendor: null, bios_version: null, bios_date: null },
      cpu: { model: null, sockets: 1, cores: 1, threads: 1 },
      memory_bytes: 4 * 1024 ** 3,
      disks: [{ ...disk, wwn: null, transport: 'virtio', ...flags }],
      nics: [],
      problems: [],
    };
  }
}

/** Does `work` up to `most` times, with `milliseconds` between; the last error is the one that is thrown. */
async function again<Value>(most: number, milliseconds: number, work: () => Promise<Value>): Promise<Value> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries >= most || /starts no live system/.test(String(error))) throw error;
      await pause(milliseconds);
    }
  }
}

/** Asks again while the appliance is too busy or gone, as the live system does. */
async function patiently<Value>(ask: () => Promise<Value>): Promise<Value> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      const isFinal = /status 4\d\d/.test(String(error)) && !/status (408|429)/.test(String(error));
      if (tries >= mostAsked || isFinal) throw error;
      await pause(Math.min(5000, 250 * tries));
    }
  }
}

/** The token inside the archive (cpio "newc", not packed) that the ticket is. */
function tokenOf(archive: string): string {
  const text = /\{"token".*?\}/s.exec(archive)?.[0] ?? '{}';
  return checked(checkMessage(Ticket, JSON.parse(text)), 'ticket').token;
}
