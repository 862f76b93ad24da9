import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { lacks } from '../tests/look.ts';
import { authority } from './testing.ts';

const skip = lacks('openssl', 'openssl');

/** Runs the agent's trust in a process of its own, because it changes what the whole process believes. */
async function asked(server: string, fingerprint: string | null): Promise<string> {
  const script = `
    const { trust } = await import(${JSON.stringify(new URL('./trust.ts', import.meta.url).href)});
    const { request } = await import('node:https');
    const dates = [];
    const trouble = [];
    // The clock takes its time, as a program that sets it does.
    const setClock = (date) => new Promise((resolve) => setTimeout(() => resolve(dates.push(date)), 200));
    try {
      const onTrouble = (problem) => trouble.push(problem);
      const { signal } = new AbortController();
      await trust(${JSON.stringify(server)}, ${JSON.stringify(fingerprint)}, { setClock }, onTrouble, signal);
      const set = dates.length;
      await new Promise((resolve, reject) => request(${JSON.stringify(`${server}/x`)}, (answer) => {
        answer.resume();
        resolve();
      }).on('error', reject).end());
      console.log('trusted, clock set', set, trouble.length === 0 ? '' : JSON.stringify(trouble));
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
    const { key, cert, fingerprint } = await authority(folder, '127.0.0.1');
    const server = createServer({ key, cert }, (_request, response) => response.end('ok'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
      assert.equal(await asked(address, fingerprint), 'trusted, clock set 1');
      assert.equal(await asked(address, 'f'.repeat(64)), 'APPLIANCE_UNTRUSTED');
      assert.match(await asked(address, null), /SELF_SIGNED|UNABLE_TO/);
      const { port } = server.address() as AddressInfo;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      const waiting = asked(address, fingerprint);
      const other = createServer({ key, cert }, (_request, response) => response.end('ok'));
      // Answered only after somebody was refused: the port is taken for a moment by one that hangs up.
      const deaf = createTcpServer((socket) => {
        socket.destroy();
        deaf.close(() => other.listen(port, '127.0.0.1'));
      });
      deaf.listen(port, '127.0.0.1');
      assert.match(await waiting, /^trusted, clock set 1 \["The appliance \S+ does not answer: .*",null\]$/);
      other.closeAllConnections();
      other.close();
    } finally {
      server.closeAllConnections();
      server.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
