import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { lacks } from '../tests/look.ts';

const skip = lacks('openssl', 'openssl');

/** Makes an authority and a certificate of it for 127.0.0.1; resolves what a server needs, and the fingerprint. */
async function authority(folder: string) {
  const openssl = (...args: readonly string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=bty test CA',
  );
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=appliance');
  await writeFile(join(folder, 'names'), 'subjectAltName=IP:127.0.0.1\n');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
  openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...signed);
  const read = (name: string) => readFile(join(folder, name), 'utf8');
  const ca = await read('ca.pem');
  const fingerprint = createHash('sha256').update(new X509Certificate(ca).raw).digest('hex');
  return { key: await read('server.key'), cert: (await read('server.pem')) + ca, fingerprint };
}

/** Runs the agent's trust in a process of its own, because it changes what the whole process believes. */
async function asked(server: string, fingerprint: string | null): Promise<string> {
  const script = `
    const { trust } = await import(${JSON.stringify(new URL('./trust.ts', import.meta.url).href)});
    const { request } = await import('node:https');
    const dates = [];
    const machine = { setClock: (date) => dates.push(date) };
    try {
      await trust(${JSON.stringify(server)}, ${JSON.stringify(fingerprint)}, machine, AbortSignal.timeout(5000));
      await new Promise((resolve, reject) => request(${JSON.stringify(`${server}/x`)}, (answer) => {
        answer.resume();
        resolve();
      }).on('error', reject).end());
      console.log('trusted, clock asked', dates.length);
    } catch (error) {
      console.log(error.code);
    }`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  return stdout.trim();
}

test('the authority of the ticket is trusted, another one is not, and the clock is asked for first', {
  skip,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bty-trust-'));
  try {
    const { key, cert, fingerprint } = await authority(folder);
    const server = createServer({ key, cert }, (_request, response) => response.end('ok'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
      assert.equal(await asked(address, fingerprint), 'trusted, clock asked 1');
      assert.equal(await asked(address, 'f'.repeat(64)), 'APPLIANCE_UNTRUSTED');
      assert.match(await asked(address, null), /SELF_SIGNED|UNABLE_TO/);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
