/** The whole appliance on an interface that has no address and nobody at its cable yet, and loses both again. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../testing/files.ts';
import { Lab, lacks } from './lab.ts';

const main = join(import.meta.dirname, '..', '..', 'main.ts');
const ipxe = existsSync('/usr/lib/ipxe/undionly.kpxe') ? false : 'the Debian package ipxe is not installed';

test('DHCP and TFTP begin when the address and the cable come, and again after both were gone', {
  skip: lacks('busybox', 'curl') || ipxe,
  timeout: 900_000,
}, async (context) => {
  const net = await Lab.make();
  context.after(() => net.close());
  const [here, there] = [await net.space(), await net.space()];
  await net.ip('-n', here, 'link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0');
  await net.ip('-n', here, 'link', 'set', 'br0', 'up');
  const web = net.node(here, main, [
    ...['serve', '--state-dir', join(net.folder, 'state'), '--admin-password', 'correct horse battery'],
    ...['--user', 'root', '--interface', 'br0', '--dhcp', 'full'],
  ]);
  await web.line((text) => text.includes('br0 has no IPv4 address'));
  const gives = async (address: string) => {
    const flags = ['udhcpc', '-i', 'eth0', '-n', '-q', '-f', '-t', '2', '-T', '1', '-s', '/bin/true'];
    const { text } = await net.run(there, 'busybox', flags);
    if (!/lease of [0-9.]+ obtained/.test(text)) return false;
    const from = `tftp://${address}/undionly.kpxe`;
    return (await net.run(there, 'curl', ['-sS', '-m', '5', '-o', '/dev/null', from])).code === 0;
  };
  await net.ip('-n', here, 'addr', 'add', '10.77.0.1/24', 'dev', 'br0');
  await net.cable([here, 'port0'], [there, 'eth0', '10.77.0.9/24']);
  await net.ip('-n', here, 'link', 'set', 'port0', 'master', 'br0');
  assert.ok(await until('leases and boot files', () => gives('10.77.0.1')));
  await net.ip('-n', here, 'link', 'set', 'port0', 'down');
  await net.ip('-n', here, 'addr', 'del', '10.77.0.1/24', 'dev', 'br0');
  await net.ip('-n', here, 'addr', 'add', '10.77.0.2/24', 'dev', 'br0');
  await net.ip('-n', here, 'link', 'set', 'port0', 'up');
  assert.ok(await until('leases and boot files from the new address', () => gives('10.77.0.2')));
});
