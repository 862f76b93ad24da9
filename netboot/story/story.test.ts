import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startTestAppliance } from '../testing.ts';
import { encode } from '../tftp/packet.ts';
import { witnessOf } from '../witness.ts';
import { parseNeighbours } from './addresses.ts';
import type { StepNews } from './step.ts';

const mac = '52:54:00:00:00:01';
const discover: StepNews = {
  kind: 'discover',
  seconds: 0,
  relay: null,
  architecture: 0,
  vendorClass: 'PXEClient:Arch:00000',
  userClass: null,
  uuid: null,
};
const get = async (response: Promise<Response>) => (await (await response).json()) as Record<string, unknown>;

test('a boot is told over HTTP step by step, survives a restart, and its packets open in tcpdump', async (context) => {
  const first = await startTestAppliance(context);
  const witness = witnessOf(first.services);
  const client = { address: '10.0.0.50', port: 2070 };
  const server = { address: '10.0.0.1', port: 69 };
  const payload = encode({ kind: 'read', file: 'undionly.kpxe', mode: 'octet', options: [['tsize', '0']] });
  witness.step({ at: Date.now(), mac, address: null, ...discover });
  const ack: StepNews = {
    kind: 'ack',
    server: '10.0.0.1',
    assigned: '10.0.0.50',
    leaseSeconds: 600,
    bootFile: 'undionly.kpxe',
  };
  witness.step({ at: Date.now(), mac, address: '10.0.0.50', ...ack });
  // TFTP knows the address alone.
  witness.datagram({ at: Date.now(), mac: null, address: '10.0.0.50', from: client, to: server, payload });
  const done: StepNews = {
    kind: 'tftp-done',
    file: 'undionly.kpxe',
    bytes: 70000,
    milliseconds: 20,
    resent: 0,
  };
  witness.step({ at: Date.now(), mac: null, address: '10.0.0.50', ...done });
  const list = (await (await first.askAdmin(`/machines/${mac}/boots`)).json()) as {
    id: number;
    stage: string;
  }[];
  assert.equal(list.length, 1);
  assert.equal(list[0]?.stage, 'boot-file');
  const id = list[0]?.id;
  const boot = await get(first.askAdmin(`/boots/${id}`));
  assert.deepEqual(
    (boot.steps as { kind: string }[]).map(({ kind }) => kind),
    ['discover', 'ack', 'tftp-done'],
  );
  assert.equal(boot.datagrams, 1);
  assert.equal((await first.ask(`/boots/${id}`)).status, 401);
  for (const bad of ['0', '999', 'x', '1.txt'])
    assert.equal((await first.askAdmin(`/boots/${bad}`)).status, 404, bad);
  const capture = await first.askAdmin(`/boots/${id}.pcap`);
  assert.equal(capture.headers.get('content-type'), 'application/vnd.tcpdump.pcap');
  const path = join(first.stateDir, 'boot.pcap');
  await writeFile(path, Buffer.from(await capture.arrayBuffer()));
  if (existsSync('/usr/bin/tcpdump')) {
    const { stdout } = await promisify(execFile)('/usr/bin/tcpdump', ['-nvr', path]);
    assert.match(stdout, /10\.0\.0\.50\.2070 > 10\.0\.0\.1\.69: .*RRQ "undionly.kpxe" octet tsize 0/s);
    assert.doesNotMatch(stdout, /bad cksum/);
  }
  await first.close();
  const second = await startTestAppliance(context, { stateDir: first.stateDir });
  const again = await get(second.askAdmin(`/boots/${id}`));
  assert.equal(again.stage, 'boot-file');
  const metrics = await (await second.askAdmin('/metrics')).text();
  assert.match(metrics, /bty_boots_total/);
});

test('a boot goes on where it was when the appliance starts anew in the middle of it, and what comes next is another', async (context) => {
  const first = await startTestAppliance(context);
  const who = { mac, address: '10.0.0.50' };
  const before = witnessOf(first.services);
  const flash: StepNews = { kind: 'script', script: 'machine', action: 'flash', reason: 'test' };
  for (const step of [discover, flash, { kind: 'agent', version: '1' }] as const satisfies StepNews[])
    before.step({ at: Date.now(), ...who, ...step });
  before.step({ at: Date.now(), ...who, kind: 'write', bytes: 1, total: 3 });
  await first.close();
  const second = await startTestAppliance(context, { stateDir: first.stateDir });
  const after = witnessOf(second.services);
  after.step({ at: Date.now(), ...who, kind: 'write', bytes: 2, total: 3 });
  after.step({ at: Date.now(), ...who, kind: 'verify', bytes: 3, total: 3 });
  const [only, ...others] = (await (await second.askAdmin(`/machines/${mac}/boots`)).json()) as {
    id: number;
  }[];
  const whole = await get(second.askAdmin(`/boots/${only?.id}`));
  const kinds = (whole.steps as { kind: string }[]).map(({ kind }) => kind);
  assert.deepEqual([kinds, others], [['discover', 'script', 'agent', 'write', 'verify'], []]);
  await second.close();
  const third = await startTestAppliance(context, { stateDir: first.stateDir });
  // A script for what is flashed already, and nothing else before it, is of another boot.
  const last = witnessOf(third.services);
  last.step({ at: Date.now(), ...who, ...flash });
  const list = (await (await third.askAdmin(`/machines/${mac}/boots`)).json()) as { stage: string }[];
  assert.deepEqual(
    list.map(({ stage }) => stage),
    ['script', 'verifying'],
  );
});

test('a fetched script and a stranger with random addresses leave their boots, within bounds', async (context) => {
  const web = await startTestAppliance(context);
  assert.equal((await web.ask(`/pxe/${mac}`)).status, 200);
  const list = (await (await web.askAdmin(`/machines/${mac}/boots`)).json()) as { stage: string }[];
  assert.equal(list.length, 1);
  const witness = witnessOf(web.services);
  for (let count = 0; count < 9000; count += 1) {
    const other = `02:00:00:00:${(count >> 8).toString(16).padStart(2, '0')}:${(count & 255).toString(16).padStart(2, '0')}`;
    witness.step({ at: Date.now(), mac: other, address: null, ...discover });
  }
  const programs = (await (await web.askAdmin('/boot-programs')).json()) as { name: string }[];
  assert.ok(programs.some(({ name }) => name === 'arm64/snponly.efi'));
  assert.equal((await web.ask('/boot/arm64/nothing.efi')).status, 404);
});

test('a capture begins with the datagram of its boot, whatever the machine sent before, and has those of its system', async (context) => {
  const web = await startTestAppliance(context);
  const witness = witnessOf(web.services);
  let at = Date.now() - 600_000;
  /** A broadcast of the machine, and the step that it makes. */
  const sends = (text: string, plain: boolean, step: StepNews | null = null) => {
    at += 1000;
    const to = { address: '255.255.255.255', port: 67 };
    const payload = Buffer.from(text);
    const who = { at, mac, address: null };
    witness.datagram({ ...who, plain, from: { address: '0.0.0.0', port: 68 }, to, payload });
    if (step !== null) witness.step({ ...who, ...step });
  };
  const script: StepNews = { kind: 'script', script: 'machine', action: 'flash', reason: 'test' };
  for (let count = 0; count < 6; count++)
    sends(`<system ${count}>`, true, { ...discover, vendorClass: null });
  sends('<first boot>', false, discover);
  at += 1000;
  witness.step({ at, mac, address: null, ...script });
  for (let count = 6; count < 12; count++) sends(`<system ${count}>`, true);
  // Firmware may ask often before what it sends is understood.
  for (let count = 0; count < 6; count++) sends(`<odd ${count}>`, false);
  at += 200_000;
  sends('<second boot>', false, discover);
  const boots = (await (await web.askAdmin(`/machines/${mac}/boots`)).json()) as { id: number }[];
  const captured = await Promise.all(
    boots.map(async ({ id }) => {
      const file = Buffer.from(await (await web.askAdmin(`/boots/${id}.pcap`)).arrayBuffer());
      return [...file.toString('latin1').matchAll(/<([a-z0-9 ]+)>/g)].map(([, text]) => text);
    }),
  );
  assert.deepEqual(captured.reverse(), [
    ['first boot', ...[6, 7, 8, 9, 10, 11].map((count) => `system ${count}`)],
    ['odd 3', 'odd 4', 'odd 5', 'second boot'],
  ]);
});

test("the kernel's neighbour table is read, its incomplete entries are not", () => {
  const table = `IP address       HW type     Flags       HW address            Mask     Device
10.0.0.5         0x1         0x2         52:54:00:aa:bb:cc     *        br0
10.0.0.6         0x1         0x0         00:00:00:00:00:00     *        br0
`;
  assert.deepEqual([...parseNeighbours(table)], [['10.0.0.5', '52:54:00:aa:bb:cc']]);
});
