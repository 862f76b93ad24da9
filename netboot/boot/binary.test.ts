import assert from 'node:assert/strict';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { architectures, bootFileOf } from '../dhcp/architecture.ts';
import { sha256, temporaryDirectory } from '../testing/files.ts';
import { survey } from './binaries.ts';
import { binaries, localBootTargets } from './binary.ts';
import { buildLocalBoot, localBootNeeds } from './localboot.ts';

test('every architecture that boots here has a binary in the table, with advice', () => {
  const names = new Set(binaries.map(({ name }) => name));
  for (const { platform } of architectures)
    if (platform !== null) assert.ok(names.has(bootFileOf(platform, 'snponly')), platform);
  assert.equal(names.size, binaries.length);
  for (const { advice } of binaries) assert.match(advice, /^(apt-get install|put) /);
});

test('a file of the operator goes before one that was built and one of a package', async (context) => {
  const folder = await temporaryDirectory(context);
  const operator = join(folder, 'operator');
  const built = join(folder, 'built');
  await mkdir(join(operator, 'arm64-efi'), { recursive: true });
  await mkdir(built);
  await writeFile(join(operator, 'arm64-efi', 'snponly.efi'), 'arm');
  await writeFile(join(operator, 'snponly.efi'), 'x64');
  await writeFile(join(built, 'snponly.efi'), 'built');
  await writeFile(join(built, 'localboot.efi'), 'built');
  const { found, missing } = survey({ operator: [operator], built, packages: false });
  assert.equal(found.get('arm64/snponly.efi')?.path, join(operator, 'arm64-efi', 'snponly.efi'));
  assert.equal(found.get('snponly.efi')?.origin, 'operator');
  assert.equal(found.get('localboot.efi')?.origin, 'built');
  assert.equal(found.size, 3);
  assert.ok(
    missing.some(
      ({ binary, advice }) => binary.name === 'undionly.kpxe' && advice === 'apt-get install ipxe',
    ),
  );
});

test('a link out of the directory, an empty file and a directory are not served', async (context) => {
  const folder = await temporaryDirectory(context);
  await symlink('/etc/passwd', join(folder, 'snponly.efi'));
  await writeFile(join(folder, 'ipxe.efi'), '');
  await mkdir(join(folder, 'undionly.kpxe'));
  const { found } = survey({ operator: [folder], built: join(folder, 'none'), packages: false });
  assert.deepEqual([...found.keys()], []);
});

const target = localBootTargets.find(({ platform }) => platform === 'x86_64');
const lacking = target ? localBootNeeds(target) : 'no target';

test('the local boot loader is a small EFI program and the same at every build', {
  skip: lacking ?? false,
}, async (context) => {
  assert.ok(target);
  const folder = await temporaryDirectory(context);
  await buildLocalBoot(target, join(folder, 'a', 'one.efi'));
  await buildLocalBoot(target, join(folder, 'two.efi'));
  const one = await readFile(join(folder, 'a', 'one.efi'));
  assert.equal(sha256(one), sha256(await readFile(join(folder, 'two.efi'))));
  assert.equal(one.subarray(0, 2).toString('latin1'), 'MZ');
  assert.ok(one.length < 700_000, `${one.length} bytes`);
});
