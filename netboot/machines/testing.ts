/** What a live system does, for tests: it fetches its script, its ticket and its plan over real HTTP. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plan } from '../../shared/contract/agent.ts';
import type { Machine } from '../../shared/contract/machine.ts';
import type { TestAppliance } from '../testing.ts';

/** Puts files into the boot directory that look like a live system. */
export function installLive(stateDir: string, endings: readonly string[] = ['vmlinuz', 'initrd']): void {
  mkdirSync(join(stateDir, 'boot'), { recursive: true });
  for (const ending of endings) writeFileSync(join(stateDir, 'boot', `bty-netboot-x86_64.${ending}`), 'x');
}

export const image = 'a'.repeat(64);

export async function putMachine(
  appliance: TestAppliance,
  mac: string,
  body: Readonly<Record<string, unknown>>,
): Promise<Machine> {
  const answer = await appliance.askAdmin(`/machines/${mac}`, { method: 'PUT', body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()) as Machine;
}

export async function getMachine(appliance: TestAppliance, mac: string): Promise<Machine> {
  return (await (await appliance.askAdmin(`/machines/${mac}`)).json()) as Machine;
}

/** What a script does, in a word. */
export function kindOf(script: string): 'live' | 'disk' | 'nothing' | 'wait' {
  if (script.includes('\nkernel ')) return 'live';
  if (script.includes(':wait\n')) return 'wait';
  return script.includes('no bty assignment') ? 'nothing' : 'disk';
}

export async function scriptOf(appliance: TestAppliance, mac: string, query = ''): Promise<string> {
  const answer = await appliance.ask(`/pxe/${mac}${query}`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/);
  return answer.text();
}

/** Path of the one-use address in a script. */
export function errandOf(script: string): string {
  const path = /initrd --name bty-ticket \$\{bty-base\}(\S+)/.exec(script)?.[1];
  assert.ok(path, script);
  return path;
}

/** The token inside the ticket's archive. */
export function tokenIn(archive: Buffer): string {
  const text = archive.toString('latin1');
  assert.ok(text.startsWith('070701') && archive.length % 512 === 0);
  const token = /"token":"([^"]+)"/.exec(text)?.[1];
  assert.ok(token);
  return token;
}

export interface Live {
  readonly token: string;
  readonly ask: (path: string, body?: unknown) => Promise<Response>;
  readonly plan: () => Promise<Plan>;
}

/** Boots `mac` into the live system. */
export async function bootLive(appliance: TestAppliance, mac: string): Promise<Live> {
  const archive = await appliance.ask(errandOf(await scriptOf(appliance, mac)));
  assert.equal(archive.status, 200);
  const token = tokenIn(Buffer.from(await archive.arrayBuffer()));
  const headers = { authorization: `Bearer ${token}` };
  const ask = (path: string, body?: unknown) =>
    appliance.ask(`/pxe/${mac}/${path}`, {
      headers,
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    });
  return {
    token,
    ask,
    plan: async () => {
      const answer = await ask('plan');
      assert.equal(answer.status, 200);
      return (await answer.json()) as Plan;
    },
  };
}

export function progressOf(plan: string, step: string, bytes: number) {
  return { plan, attempt: 1, step, bytes, total: 100, rate: 50, disk: { path: '/dev/vda', serial: 'S1' } };
}

export function doneOf(plan: string) {
  return {
    status: 'done',
    plan,
    attempt: 1,
    image_sha256: image,
    image_bytes: 100,
    verified: true,
    disk: { path: '/dev/vda', serial: 'S1', size_bytes: 1000 },
    seconds: { writing: 1.5 },
    after: 'reboot',
    notices: [],
  };
}

/** What a live system on that board tells. */
export function inventoryOf(uuid: string, serial: string) {
  const unnamed = { version: null, board_vendor: null, board_name: null, board_serial: null };
  const bios = { bios_vendor: null, bios_version: null, bios_date: null };
  return {
    schema_version: 1,
    agent_version: '1',
    kernel: '6',
    architecture: 'x64',
    firmware: { kind: 'uefi', secure_boot: null },
    dmi: { vendor: 'V', product: 'P', serial, uuid, ...unnamed, ...bios },
    cpu: { model: 'C', sockets: 1, cores: 2, threads: 2 },
    memory_bytes: 1024,
    disks: [],
    nics: [],
    problems: [],
  };
}
