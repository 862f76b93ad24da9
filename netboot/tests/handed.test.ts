/** A program without any right serves DHCP and TFTP by sockets that another one opened for it (sd_listen_fds(3)). */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Lab, lacks } from '../dhcp/tests/lab.ts';
import { noise, sha256, until } from '../testing/files.ts';

const program = join(import.meta.dirname, '..', 'main.ts');
const nobody = 65534;
const ports = { dhcp: 67, proxy: 4011, tftp: 69 } as const;

test('sockets that systemd hands over serve DHCP and TFTP without a capability', {
  skip: lacks('systemd-socket-activate', 'setpriv', 'busybox', 'curl'),
  timeout: 900_000,
}, async (context) => {
  const net = await Lab.make();
  context.after(() => net.close());
  const [here, there] = [await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/16'], [there, 'eth0', '10.77.255.2/16']);
  // Units say BindToDevice=, which this command cannot: the broadcast needs its way.
  await net.ip('-n', here, 'route', 'add', '255.255.255.255/32', 'dev', 'lab0');
  const state = join(net.folder, 'state');
  await chmod(net.folder, 0o755);
  await mkdir(join(state, 'boot'), { recursive: true });
  const file = noise(300_000, 9);
  await writeFile(join(state, 'boot', 'own.bin'), file);
  for (const path of [state, join(state, 'boot')]) await chown(path, nobody, nobody);
  const names = Object.keys(ports).map((name) => `${name}-lab0`);
  const web = net.start(here, 'systemd-socket-activate', [
    ...['--datagram', `--fdname=${names.join(':')}`],
    ...Object.values(ports).map((port) => `--listen=0.0.0.0:${port}`),
    ...['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--inh-caps=-all'],
    ...['--bounding-set=-all', process.execPath, '--disable-warning=ExperimentalWarning', program, 'serve'],
    ...['--state-dir', state, '--web-host', '10.77.0.1', '--web-port', '8080', '--interface', 'lab0'],
    ...['--dhcp', 'full', '--dhcp-anyway', '--admin-password', 'correct horse battery'],
  ]);
  const path = join(net.folder, 'got');
  const fetch = ['-sS', '--max-time', '20', '-o', path, 'tftp://10.77.0.1/own.bin'];
  await until('TFTP serves', async () => {
    if (web.child.exitCode !== null) throw new Error(web.output());
    return (await net.run(there, 'curl', fetch)).code === 0;
  });
  assert.ok(existsSync(path), web.output());
  assert.equal(sha256(readFileSync(path)), sha256(file));
  const rights = /^CapEff:\s+(\w+)$/m.exec(readFileSync(`/proc/${web.child.pid}/status`, 'utf8'))?.[1];
  assert.equal(Number.parseInt(rights ?? '', 16), 0, 'it has no capability');
  const client = ['udhcpc', '-i', 'eth0', '-n', '-q', '-f', '-t', '30', '-T', '2', '-s', '/bin/true'];
  const { text } = await net.run(there, 'busybox', client);
  assert.match(text, /lease of 10\.77\.\d+\.\d+ obtained/, `${text}\n${web.output()}`);
});
