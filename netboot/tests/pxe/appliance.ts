/** Our appliance in the lab, spoken to as scripts do. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { patience } from './guest.ts';
import type { Lab, LabProcess, Reply } from './lab.ts';
import { tail } from './lab.ts';
import { builtLive } from './live.ts';

const password = 'correct horse battery staple';
const program = join(import.meta.dirname, '..', '..', 'main.ts');

export interface MachineView {
  readonly mac: string;
  readonly boot_policy: string;
  readonly last_flashed_at: string | null;
  readonly [more: string]: unknown;
}

export interface EventView {
  readonly kind: string;
  readonly subject_id: string | null;
  readonly summary: string;
  readonly details: Readonly<Record<string, unknown>> | null;
}

export interface BootStep {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly kind: string;
  readonly [more: string]: unknown;
}

/** One boot of a machine as the appliance saw it. */
export interface BootView {
  readonly id: number;
  readonly stage: string;
  readonly steps: readonly BootStep[];
  readonly diagnosis: { readonly state: string; readonly code: string; readonly cause: string };
}

export class LabAppliance {
  readonly url: string;
  readonly #lab: Lab;
  readonly #state: string;
  readonly #arguments: readonly string[];
  /** Folder in which it keeps images. */
  readonly images: string;
  readonly #jar: string;
  #process: LabProcess | null = null;

  /** Starts it with the live system installed, and logs in. */
  static async start(lab: Lab, dhcp: 'full' | 'proxy', more: readonly string[] = []): Promise<LabAppliance> {
    const appliance = new LabAppliance(lab, dhcp, more);
    const install = ['live', 'install', await builtLive(), '--state-dir', appliance.#state];
    await lab.run(process.execPath, program, ...install);
    await appliance.run();
    const reply = await lab.curl('POST', `${appliance.url}/ui/login`, {
      body: `password=${encodeURIComponent(password)}`,
      newJar: appliance.#jar,
    });
    if (reply.status !== 303) throw new Error(`the login answers ${reply.status}: ${reply.body}`);
    return appliance;
  }

  private constructor(lab: Lab, dhcp: 'full' | 'proxy', more: readonly string[]) {
    this.#lab = lab;
    this.url = `http://${lab.address}:8080`;
    this.#state = join(lab.folder, 'state');
    this.images = join(this.#state, 'images');
    this.#jar = join(lab.folder, 'cookies');
    this.#arguments = [
      ...['--state-dir', this.#state, '--web-host', lab.address, '--web-port', '8080'],
      ...['--interface', 'br0', '--dhcp', dhcp, '--user', 'root', '--admin-password', password],
      ...more,
    ];
  }

  /** Log of the appliance. */
  get log(): Promise<string> {
    return this.#process ? tail(this.#process.log, 20_000) : Promise.resolve('');
  }

  /** Starts the program; resolves when it serves. */
  async run(): Promise<void> {
    const flags = ['--disable-warning=ExperimentalWarning', program, 'serve', ...this.#arguments];
    const running = await this.#lab.start('bty-web', process.execPath, flags);
    this.#process = running;
    let over = false;
    void running.ended.then(() => {
      over = true;
    });
    const limit = performance.now() + 60 * patience * 1000;
    while (performance.now() < limit) {
      const reply = await this.#lab.curl('GET', `${this.url}/healthz`).catch(() => null);
      if (reply?.status === 200) return;
      if (over) throw new Error(`bty-web ended:\n${await this.log}`);
      await pause(100);
    }
    throw new Error(`bty-web does not serve:\n${await this.log}`);
  }

  /** Ends the program the hard way, as a crash does. */
  async kill(): Promise<void> {
    await this.#process?.stop('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#process?.stop('SIGTERM');
  }

  async ask(
    method: string,
    path: string,
    { json, upload }: { json?: unknown; upload?: string } = {},
  ): Promise<Reply> {
    const body = json === undefined ? undefined : JSON.stringify(json);
    return this.#lab.curl(method, `${this.url}${path}`, {
      jar: this.#jar,
      ...(body === undefined ? {} : { body }),
      ...(upload === undefined ? {} : { upload }),
    });
  }

  async machine(mac: string): Promise<MachineView | null> {
    const reply = await this.ask('GET', `/machines/${mac}`);
    return reply.status === 200 ? (JSON.parse(reply.body) as MachineView) : null;
  }

  async bind(mac: string, binding: Readonly<Record<string, unknown>>): Promise<void> {
    const reply = await this.ask('PUT', `/machines/${mac}`, { json: binding });
    if (reply.status !== 200) throw new Error(`PUT /machines answers ${reply.status}: ${reply.body}`);
  }

  /** Kinds of the machine's events, the oldest first. */
  async events(mac: string): Promise<readonly EventView[]> {
    const reply = await this.ask('GET', `/events?subject_id=${encodeURIComponent(mac)}&limit=500`);
    return (JSON.parse(reply.body) as { events: EventView[] }).events.toReversed();
  }

  /** The stories of the machine's boots, the newest first. */
  async boots(mac: string): Promise<readonly BootView[]> {
    const list = JSON.parse((await this.ask('GET', `/machines/${mac}/boots`)).body) as { id: number }[];
    const stories: BootView[] = [];
    for (const { id } of list) {
      const reply = await this.ask('GET', `/boots/${id}`);
      stories.push(JSON.parse(reply.body) as BootView);
    }
    return stories;
  }

  /** Resolves the machine when it is as `fits` wants it. */
  async until(
    mac: string,
    what: string,
    seconds: number,
    fits: (machine: MachineView) => boolean,
  ): Promise<MachineView> {
    const limit = performance.now() + seconds * patience * 1000;
    let last: MachineView | null = null;
    while (performance.now() < limit) {
      last = await this.machine(mac);
      if (last && fits(last)) return last;
      await pause(250);
    }
    throw new Error(`${mac} is not ${what} within ${seconds} s: ${JSON.stringify(last)}\n${await this.log}`);
  }

  /** Uploads an image; resolves its digest when the appliance knows it. */
  async upload(path: string, name: string, sha256: string): Promise<void> {
    const reply = await this.ask('PUT', `/images/${encodeURIComponent(name)}`, { upload: path });
    if (reply.status !== 200) throw new Error(`PUT /images answers ${reply.status}: ${reply.body}`);
    const limit = performance.now() + 60 * patience * 1000;
    while (performance.now() < limit) {
      const list = await this.ask('GET', '/images');
      if (list.body.includes(sha256)) return;
      await pause(100);
    }
    throw new Error(`the image ${name} was not hashed`);
  }
}
