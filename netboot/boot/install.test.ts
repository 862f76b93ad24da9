import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { installLive } from './install.ts';
import { LiveSystems } from './live.ts';

let root = '';
let built = '';
let boot = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bty-live-'));
  built = mkdtempSync(join(root, 'built-'));
  boot = join(root, 'boot');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function build(parameters: readonly string[] = ['quiet']) {
  const files = ['vmlinuz', 'initrd'].map((name) => {
    const content = randomBytes(3 << 20);
    writeFileSync(join(built, name), content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { name, serve_as: `bty-netboot-x86_64.${name}`, size_bytes: content.length, sha256 };
  });
  const manifest = { schema_version: 1, command_line: parameters, files };
  writeFileSync(join(built, 'manifest.json'), JSON.stringify(manifest));
}

test('a live system that was built is installed under the names that scripts ask for', async () => {
  build();
  const installed = await installLive(built, boot);
  assert.deepEqual(
    installed.map((file) => file.name),
    ['bty-netboot-x86_64.vmlinuz', 'bty-netboot-x86_64.initrd'],
  );
  assert.deepEqual(
    readFileSync(join(boot, 'bty-netboot-x86_64.initrd')),
    readFileSync(join(built, 'initrd')),
  );
  const [live] = await new LiveSystems(boot).installed();
  assert.equal(live?.kernel, 'bty-netboot-x86_64.vmlinuz');
  assert.deepEqual(live?.parameters, ['quiet']);
});

test('a newer live system takes the place of the old one, and nothing else stays behind', async () => {
  build();
  await installLive(built, boot);
  build();
  await installLive(built, boot);
  assert.deepEqual(
    readFileSync(join(boot, 'bty-netboot-x86_64.vmlinuz')),
    readFileSync(join(built, 'vmlinuz')),
  );
  assert.deepEqual(readdirSync(boot).sort(), [
    'bty-netboot-x86_64.initrd',
    'bty-netboot-x86_64.json',
    'bty-netboot-x86_64.vmlinuz',
  ]);
});

test('a file that is not the one of the manifest leaves the boot directory as it was', async () => {
  build();
  await installLive(built, boot);
  const before = readFileSync(join(boot, 'bty-netboot-x86_64.vmlinuz'));
  build();
  writeFileSync(join(built, 'initrd'), 'cut short');
  await assert.rejects(installLive(built, boot), { code: 'LIVE_SYSTEM_INVALID' });
  assert.deepEqual(readFileSync(join(boot, 'bty-netboot-x86_64.vmlinuz')), before);
  assert.equal(readdirSync(boot).length, 3);
});

test('a folder without a live system, and names that lead elsewhere, are refused', async () => {
  await assert.rejects(installLive(built, boot), { code: 'LIVE_SYSTEM_INVALID' });
  writeFileSync(join(built, 'manifest.json'), 'not JSON');
  await assert.rejects(installLive(built, boot), { code: 'LIVE_SYSTEM_INVALID' });
  build();
  const text = readFileSync(join(built, 'manifest.json'), 'utf8');
  for (const name of ['../vmlinuz', '/etc/passwd', 'a/b']) {
    const bad = JSON.parse(text);
    bad.files[0].serve_as = name;
    writeFileSync(join(built, 'manifest.json'), JSON.stringify(bad));
    await assert.rejects(installLive(built, boot), { code: 'LIVE_SYSTEM_INVALID' });
  }
});
