import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const folder = join(import.meta.dirname, '..', '..', 'build', 'systemd');
const unit = (name: string) => readFileSync(join(folder, name), 'utf8');

test('the service has exactly the right to bind low ports', () => {
  const text = unit('bty-web.service');
  for (const name of ['AmbientCapabilities', 'CapabilityBoundingSet']) {
    assert.match(text, new RegExp(`^${name}=CAP_NET_BIND_SERVICE$`, 'm'));
  }
  assert.match(text, /^NoNewPrivileges=yes$/m);
  assert.match(text, /^User=bty$/m);
});

test('sockets of systemd carry the names by which they are taken', () => {
  assert.match(unit('bty-web-dhcp@.socket'), /^FileDescriptorName=dhcp-%i$/m);
  assert.match(unit('bty-web-dhcp@.socket'), /^ListenDatagram=0\.0\.0\.0:67$/m);
  assert.match(unit('bty-web-proxy@.socket'), /^FileDescriptorName=proxy-%i$/m);
  assert.match(unit('bty-web-proxy@.socket'), /^ListenDatagram=0\.0\.0\.0:4011$/m);
  assert.match(unit('bty-web-tftp@.socket'), /^FileDescriptorName=tftp-%i$/m);
  assert.match(unit('bty-web-tftp@.socket'), /^ListenDatagram=0\.0\.0\.0:69$/m);
});
