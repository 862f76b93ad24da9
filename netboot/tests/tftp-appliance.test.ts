/** The whole appliance in a network of its own: TFTP follows DHCP's interfaces and serves the table of boot files. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { noise, sha256, until } from '../testing/files.ts';
import { Lab, noLab } from './pxe/lab.ts';

const program = join(import.meta.dirname, '..', 'main.ts');
const binary = '/usr/lib/ipxe/undionly.kpxe';
const skip = noLab() || (existsSync(binary) ? false : 'the Debian package ipxe is not installed');

test('boot programs of the distribution, files of the boot directory and scripts come over TFTP', {
  skip,
  timeout: 900_000,
}, async () => {
  const lab = await Lab.create(0);
  try {
    const state = join(lab.folder, 'state');
    await mkdir(join(state, 'boot'), { recursive: true });
    const own = noise(3_000_000);
    await writeFile(join(state, 'boot', 'own.bin'), own);
    await writeFile(join(state, 'secret'), 'not a boot file');
    const web = await lab.start('bty-web', process.execPath, [
      ...['--disable-warning=ExperimentalWarning', program, 'serve', '--state-dir', state],
      ...['--web-host', lab.address, '--web-port', '8080', '--admin-password', 'correct horse battery'],
      ...['--interface', 'br0', '--dhcp', 'full', '--user', 'root'],
    ]);
    const path = join(lab.folder, 'got');
    const fetch = (name: string, ...more: string[]) =>
      lab.run('curl', '-sS', '--max-time', '120', ...more, '-o', path, `tftp://${lab.address}/${name}`);
    await until('TFTP serves', () =>
      fetch('undionly.kpxe').then(
        () => true,
        () => false,
      ),
    );
    assert.equal(sha256(await readFile(path)), sha256(await readFile(binary)));
    await fetch('own.bin', '--tftp-blksize', '65464');
    assert.equal(sha256(await readFile(path)), sha256(own));
    await fetch('OWN.BIN', '--tftp-blksize', '1468');
    assert.equal(sha256(await readFile(path)), sha256(own));
    await fetch('arm64/autoexec.ipxe');
    assert.match(
      await readFile(path, 'latin1'),
      /^#!ipxe\nisset \$\{netX\/ip\} \|\| dhcp.*http:\/\/10\.77\.0\.1:8080/s,
    );
    for (const name of ['..%2fsecret', 'secret', 'built', '..%5csecret'])
      await assert.rejects(fetch(name), name);
    const http = await lab.curl('GET', `http://${lab.address}:8080/boot/undionly.kpxe`);
    assert.equal(http.status, 200);
    await web.stop('SIGTERM');
    await assert.rejects(fetch('undionly.kpxe', '--connect-timeout', '1', '--max-time', '2'));
  } finally {
    await lab.close();
  }
});
