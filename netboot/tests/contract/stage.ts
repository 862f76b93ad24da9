/** Where each answer of the contract is asked for: an appliance, and what can be done with it in a line. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Config } from '../../config/settings.ts';
import { image, installLive } from '../../machines/testing.ts';
import { startTestAppliance, type TestAppliance } from '../../testing.ts';

export type Body = string | Uint8Array | URLSearchParams | object;

export interface Stage {
  readonly appliance: TestAppliance;
  /** A request with all rights. */
  readonly ask: (
    method: string,
    path: string,
    body?: Body,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Response>;
  /** A request of nobody. */
  readonly open: Stage['ask'];
  /** What must succeed so that the row can be asked for; its JSON. */
  readonly done: (method: string, path: string, body?: Body) => Promise<Record<string, unknown>>;
  /** Numbers that no other row has. */
  readonly next: () => number;
  readonly mac: () => string;
  /** A machine that is to be flashed. */
  readonly armed: () => Promise<string>;
  /** Another appliance, with these settings; it ends with the test. */
  readonly other: (config?: Partial<Config>) => Promise<Stage>;
  readonly file: (...names: string[]) => string;
}

/** One request of an operation, which gets the status that it stands for. */
export type Ask = (at: Stage) => Promise<Response>;
/** By name of the operation, and by status. */
export type Rows = Readonly<Record<string, Readonly<Record<number, Ask>>>>;

let numbers = 0;

export async function startStage(context: TestContext, config: Partial<Config> = {}): Promise<Stage> {
  const appliance = await startTestAppliance(context, { config });
  installLive(appliance.stateDir);
  const asked =
    (ask: TestAppliance['ask']): Stage['ask'] =>
    (method, path, body, headers = {}) => {
      const isPlain =
        typeof body === 'string' || body instanceof Uint8Array || body instanceof URLSearchParams;
      const sent = body === undefined || isPlain ? body : JSON.stringify(body);
      return ask(path, {
        method,
        headers,
        ...(sent === undefined ? {} : { body: sent instanceof Uint8Array ? new Uint8Array(sent) : sent }),
      });
    };
  const ask = asked(appliance.askAdmin);
  const next = () => ++numbers;
  const mac = () => `02:aa:00:00:${(next() >> 8).toString(16).padStart(2, '0')}:${hex(numbers & 255)}`;
  const done: Stage['done'] = async (method, path, body) => {
    const answer = await ask(method, path, body);
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : { list: text };
  };
  return {
    appliance,
    ask,
    open: asked(appliance.ask),
    done,
    next,
    mac,
    armed: async () => {
      const found = mac();
      await done('PUT', `/machines/${found}`, { image_sha256: image, boot_policy: 'flash' });
      return found;
    },
    other: (changes = {}) => startStage(context, changes),
    file: (...names) => join(appliance.stateDir, ...names),
  };
}

const hex = (byte: number) => byte.toString(16).padStart(2, '0');

/** A request that announces `bytes` and sends none of them. */
export async function announcing(
  { appliance }: Stage,
  method: string,
  path: string,
  bytes: number,
): Promise<Response> {
  const { hostname, port } = new URL(appliance.url);
  const token = await appliance.makeToken('admin');
  const headers = { authorization: `Bearer ${token}`, 'content-length': String(bytes) };
  return new Promise((resolve, reject) => {
    const sent = request({ host: hostname, port, method, path, headers, agent: false });
    sent.once('response', (answer) => {
      answer.resume();
      answer.once('close', () => sent.destroy());
      const type = answer.headers['content-type'] ?? '';
      resolve(new Response('{}', { status: answer.statusCode ?? 0, headers: { 'content-type': type } }));
    });
    sent.on('error', reject);
    sent.flushHeaders();
  });
}

/** `ask` until it answers `status`, at most `times`. */
export async function repeated(
  times: number,
  status: number,
  ask: () => Promise<Response>,
): Promise<Response> {
  for (let left = times; ; left--) {
    const answer = await ask();
    if (answer.status === status || left === 0) return answer;
    await answer.arrayBuffer();
  }
}
