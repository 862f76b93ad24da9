import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, lstatSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { applianceProgram, helperProgram } from '../../shared/helper/elevation.ts';
import { makeDeb } from './deb.ts';
import { readFuses } from './fuses.ts';
import { billOfMaterials, checksums } from './inventory.ts';
import { packApp } from './pack.ts';

const root = join(import.meta.dirname, '..', '..');
const skip =
  process.platform === 'linux' && process.arch === 'x64'
    ? false
    : 'the Electron to pack with is for Linux on x64';

test('a release has its fuses blown, and its .deb holds everything where the policy looks for it', {
  skip,
}, async (context) => {
  const output = mkdtempSync(join(tmpdir(), 'bty-release-'));
  context.after(() => rmSync(output, { recursive: true, force: true }));
  // The real executable takes long to make and is packed by the tests that drive the app: here any program will do.
  const program = join(output, 'program-to-pack');
  writeFileSync(program, '#!/bin/sh\necho packed\n', { mode: 0o755 });
  const packed = await packApp({ output, program, appliance: program, debuggable: false });
  const fuses = await readFuses(packed.executable);
  assert.deepEqual(
    { ...fuses, loadBrowserProcessSpecificV8Snapshot: undefined },
    {
      runAsNode: false,
      enableCookieEncryption: true,
      enableNodeOptionsEnvironmentVariable: false,
      enableNodeCliInspectArguments: false,
      enableEmbeddedAsarIntegrityValidation: true,
      onlyLoadAppFromAsar: true,
      loadBrowserProcessSpecificV8Snapshot: undefined,
      ...('grantFileProtocolExtraPrivileges' in fuses ? { grantFileProtocolExtraPrivileges: false } : {}),
    },
  );

  // Everything but Electron's own 240 MB, which would take a minute to compress.
  const folder = join(output, 'small');
  cpSync(packed.folder, folder, { recursive: true });
  for (const name of ['bty-app', 'icudtl.dat', 'libGLESv2.so', 'libvk_swiftshader.so'])
    writeFileSync(join(folder, name), '');
  const deb = await makeDeb({ folder, icons: join(output, 'icons'), output, version: '1.2.3' });
  const tree = join(output, 'installed');
  execFileSync('dpkg-deb', ['-x', deb, tree]);
  assert.equal(execFileSync(join(tree, helperProgram), { encoding: 'utf8' }), 'packed\n');
  const policy = readFileSync(join(tree, 'usr/share/polkit-1/actions/org.bty.flash.policy'), 'utf8');
  assert.ok(policy.includes(`>${helperProgram}<`), 'the policy names the packed program');
  assert.equal(execFileSync(join(tree, 'usr/bin/bty-web'), { encoding: 'utf8' }), 'packed\n');
  const ports = readFileSync(join(tree, 'usr/share/polkit-1/actions/org.bty.appliance.policy'), 'utf8');
  assert.ok(ports.includes(`>${applianceProgram}<`), 'the other policy names the packed appliance');
  assert.match(readFileSync(join(tree, 'usr/lib/udev/rules.d/70-bty.rules'), 'utf8'), /UDISKS_AUTO/);
  const sandbox = statSync(join(tree, 'opt/bty/chrome-sandbox'));
  assert.equal(sandbox.mode & 0o7777, 0o4755);
  assert.ok(lstatSync(join(tree, 'usr/bin/bty')).isSymbolicLink());
  assert.equal(execFileSync('dpkg-deb', ['-f', deb, 'Version'], { encoding: 'utf8' }), '1.2.3\n');

  const sums = join(output, 'SHA256SUMS');
  writeFileSync(sums, await checksums([deb]));
  execFileSync('sha256sum', ['--check', '--quiet', sums], { cwd: output });
});

test('the bill of materials names what runs in the window and what opens disks', async () => {
  const bill = JSON.parse(await billOfMaterials(root, '45.0.0')) as {
    components: { name: string; version: string; purl?: string }[];
  };
  const names = new Map(bill.components.map(({ name, version }) => [name, version]));
  assert.equal(names.get('electron'), '45.0.0');
  for (const name of ['react', 'react-aria-components', 'koffi', 'yauzl'])
    assert.match(names.get(name) ?? '', /^\d/);
  assert.equal(names.has('playwright-core'), false);
});

test('what is no Electron has no fuses', async () => {
  await assert.rejects(readFuses('/bin/true'), /has no fuses/);
});
