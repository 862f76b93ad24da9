/** The lab admin beside the pretended machines: uploads an image, binds it to them, reads what became of them. */
import { setTimeout as pause } from 'node:timers/promises';
import type { BootSummary } from '../../../shared/contract/story.ts';

export class Operator {
  readonly #base: string;
  readonly #cookie: string;

  private constructor(base: string, cookie: string) {
    this.#base = base;
    this.#cookie = cookie;
  }

  static async login(base: string, password: string): Promise<Operator> {
    const body = new URLSearchParams({ password });
    const reply = await fetch(`${base}/ui/login`, { method: 'POST', redirect: 'manual', body });
    const [cookie = ''] = (reply.headers.get('set-cookie') ?? '').split(';');
    if (reply.status !== 303 || cookie === '') throw new Error(`the login answers ${reply.status}`);
    return new Operator(base, cookie);
  }

  async #ask(method: string, path: string, body?: string | Uint8Array<ArrayBuffer>): Promise<string> {
    const type = typeof body === 'string' ? 'application/json' : 'application/octet-stream';
    const headers = { cookie: this.#cookie, origin: this.#base, 'content-type': type };
    const options = { method, headers, ...(body === undefined ? {} : { body }) };
    const reply = await fetch(`${this.#base}${path}`, options);
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${path} answers ${reply.status}: ${text}`);
    return text;
  }

  /** Uploads an image and waits until the appliance knows its digest. */
  async upload(name: string, bytes: Uint8Array<ArrayBuffer>, sha256: string): Promise<void> {
    if ((await this.#ask('GET', '/images')).includes(sha256)) return;
    await this.#ask('PUT', `/images/${name}`, bytes);
    for (let tries = 0; tries < 1800; tries++) {
      if ((await this.#ask('GET', '/images')).includes(sha256)) return;
      await pause(100);
    }
    throw new Error(`the image ${name} was not hashed`);
  }

  async bind(mac: string, sha256: string): Promise<void> {
    const binding = { image_sha256: sha256, boot_policy: 'flash-once' };
    await this.#ask('PUT', `/machines/${mac}`, JSON.stringify(binding));
  }

  /** Rejects when the appliance does not say that `mac` is deployed. */
  async deployed(mac: string): Promise<void> {
    const machine = JSON.parse(await this.#ask('GET', `/machines/${mac}`)) as { state: { phase: string } };
    const { phase } = machine.state;
    if (phase !== 'deployed')
      throw new Error(`it was flashed and boots its disk, and the appliance says "${phase}"`);
  }

  /** What the boot story says of the last boot of `mac`, once that boot is over or `milliseconds` have passed. */
  async diagnosis(mac: string, milliseconds: number): Promise<BootSummary['diagnosis'] | null> {
    const end = performance.now() + milliseconds;
    for (;;) {
      const [last] = JSON.parse(await this.#ask('GET', `/machines/${mac}/boots?limit=1`)) as BootSummary[];
      if (last?.diagnosis.state !== 'running' || performance.now() > end) return last?.diagnosis ?? null;
      await pause(500);
    }
  }
}
