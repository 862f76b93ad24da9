import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, test } from 'node:test';

const space = `bty-carrier-${process.pid}`;
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });

let skip: string | false = process.getuid?.() === 0 ? false : 'needs root, to make a network namespace';
try {
  if (!skip) ip('netns', 'add', space);
} catch {
  skip = 'needs network namespaces (package iproute2)';
}
after(() => {
  if (!skip) ip('netns', 'del', space);
});

test('an interface with an address is known before there is anybody at the other end of its cable', {
  skip,
}, () => {
  ip('-n', space, 'link', 'add', 'lab0', 'type', 'bridge');
  ip('-n', space, 'addr', 'add', '10.77.0.1/22', 'dev', 'lab0');
  ip('-n', space, 'link', 'set', 'lab0', 'up');
  ip('-n', space, 'link', 'add', 'down0', 'type', 'bridge');
  ip('-n', space, 'addr', 'add', '10.78.0.1/24', 'dev', 'down0');
  const module = join(import.meta.dirname, '..', 'server.ts');
  const program = `
    const { networks } = await import(${JSON.stringify(module)});
    const { addressesText } = await import(${JSON.stringify(join(import.meta.dirname, '..', 'subnet.ts'))});
    for (const [name, { addresses }] of networks()) console.log(name, addressesText(addresses));
  `;
  const args = ['netns', 'exec', space, process.execPath, '--input-type=module', '-e', program];
  const told = execFileSync('ip', args, { encoding: 'utf8' });
  assert.match(told, /^lab0 10\.77\.0\.1\/22$/m);
  assert.doesNotMatch(told, /down0/);
});
