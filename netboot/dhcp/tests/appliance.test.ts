/** The whole appliance, started as root, in a namespace: it gives root up and still serves what is chosen later. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Lab, lacks, type Running } from './lab.ts';

const main = join(import.meta.dirname, '..', '..', 'main.ts');
const password = 'correct horse battery';

/** Asks the appliance from inside its namespace: a login, then each request in turn; answers are printed. */
const asker = `
const [list] = process.argv.slice(2);
const url = 'http://127.0.0.1:8080';
const login = await fetch(url + '/ui/login', { method: 'POST', redirect: 'manual',
  body: new URLSearchParams({ password: ${JSON.stringify(password)} }) });
const cookie = (login.headers.get('set-cookie') ?? '').split(';')[0];
const answers = [];
for (const [method, path, body] of JSON.parse(list)) {
  const response = await fetch(url + path, { method, headers: { cookie, origin: url, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await response.text();
  answers.push({ status: response.status, value: text === '' ? null : JSON.parse(text) });
}
console.log(JSON.stringify(answers));
`;

interface Answer {
  readonly status: number;
  readonly value: unknown;
}

async function start(net: Lab, space: string, flags: readonly string[]): Promise<Running> {
  const state = join(net.folder, 'state');
  await chmod(net.folder, 0o755);
  const common = ['serve', '--state-dir', state, '--admin-password', password, '--user', 'nobody'];
  const web = net.node(space, main, [...common, ...flags]);
  await web.line((text) => text.includes('listens on'));
  return web;
}

async function ask(net: Lab, space: string, requests: readonly unknown[]): Promise<readonly Answer[]> {
  const file = join(net.folder, 'ask.mjs');
  await writeFile(file, asker);
  const asked = net.node(space, file, [JSON.stringify(requests)]);
  await asked.ended;
  const line = asked
    .output()
    .split('\n')
    .find((text) => text.startsWith('['));
  assert.ok(line, asked.output());
  return JSON.parse(line) as Answer[];
}

async function leaseOn(net: Lab, space: string): Promise<string | null> {
  const flags = ['udhcpc', '-i', 'eth0', '-n', '-q', '-f', '-t', '30', '-T', '2', '-s', '/bin/true'];
  const { text } = await net.run(space, 'busybox', flags);
  return /lease of ([0-9.]+) obtained/.exec(text)?.[1] ?? null;
}

async function lab(context: TestContext): Promise<Lab> {
  const made = await Lab.make();
  context.after(() => made.close());
  return made;
}

test('started as root it runs as nobody, serves an interface that is chosen then, keeps leases over a restart', {
  skip: lacks('busybox'),
}, async (context) => {
  const net = await lab(context);
  const [here, one, two] = [await net.space(), await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/24'], [one, 'eth0']);
  await net.cable([here, 'lab1', '10.78.0.1/24'], [two, 'eth0']);
  const web = await start(net, here, []);
  const status = readFileSync(`/proc/${web.child.pid}/status`, 'utf8');
  assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m);
  assert.match(status, /^CapEff:\t0000000000000400$/m);
  const mac = '02:00:00:00:00:01';
  await net.ip('-n', two, 'link', 'set', 'eth0', 'address', mac);
  const full = (name: string) => ({ interface: name, mode: 'full' });
  const answers = await ask(net, here, [
    ['PUT', '/dhcp/settings', { interfaces: [full('lab0')] }],
    ['PUT', '/dhcp/reservations/02-00-00-00-00-01', { address: '10.78.0.9', hostName: 'node1' }],
    ['PUT', '/dhcp/reservations/02:00:00:00:00:02', { address: '10.78.0.9' }],
    ['PUT', '/dhcp/settings', { interfaces: [full('lab9')] }],
    ['POST', '/dhcp/explain', { mac, arch: 16 }],
  ]);
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [200, 200, 422, 404, 200],
    JSON.stringify(answers),
  );
  assert.match(JSON.stringify(answers[4]?.value), /"rule":"http-boot"|"rule":"file-missing"/);
  const first = await leaseOn(net, one);
  assert.match(first ?? '', /^10\.77\.0\./, web.output());
  const moved = await ask(net, here, [
    ['PUT', '/dhcp/settings', { interfaces: [full('lab0'), full('lab1')] }],
  ]);
  assert.equal(moved[0]?.status, 200, JSON.stringify(moved));
  assert.equal(await leaseOn(net, two), '10.78.0.9', web.output());
  web.child.kill('SIGKILL');
  await web.ended;
  const again = await start(net, here, []);
  await again.line((text) => text.includes('listens on'));
  assert.equal(await leaseOn(net, two), '10.78.0.9', again.output());
  assert.equal(await leaseOn(net, one), first, again.output());
  const [book, states] = await ask(net, here, [
    ['GET', '/dhcp/leases'],
    ['GET', '/dhcp'],
  ]);
  const text = JSON.stringify(book?.value);
  assert.ok(text.includes(`"address":"${first}"`) && text.includes('"hostName":"node1"'), text);
  assert.match(JSON.stringify(states?.value), /"interface":"lab1","mode":"full","problem":null/);
  again.child.kill('SIGTERM');
  assert.equal(await again.ended, 0, again.output());
});

test('flags set the interface and mode of the start, and a missing interface is a reason not to be ready', {
  skip: lacks('busybox'),
}, async (context) => {
  const net = await lab(context);
  const [here, one] = [await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/24'], [one, 'eth0']);
  const web = await start(net, here, ['--interface', 'lab0,lab7', '--dhcp', 'full']);
  assert.match((await leaseOn(net, one)) ?? '', /^10\.77\.0\./, web.output());
  const [ready] = await ask(net, here, [['GET', '/readyz']]);
  assert.match(JSON.stringify(ready?.value), /no network interface \\"lab7\\"/);
  assert.equal(ready?.status, 503);
});
