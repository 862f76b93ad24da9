import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTestAppliance, temporaryDirectory } from '../../../netboot/testing.ts';
import { writeManifests } from '../manifest.ts';
import { publicLine } from '../sign.ts';
import { fetched, newKey, serve } from './place.ts';

const skip = spawnSync('minisign', ['-v']).status === 0 ? false : 'minisign is not installed';

test('an appliance updates its live files from a signed release in a plain directory, and takes no other', {
  skip,
}, async (context) => {
  const folder = temporaryDirectory(context);
  const { key, file } = newKey(folder);
  const base = join(folder, 'release');
  const live = ['bty-netboot-x86_64.vmlinuz', 'bty-netboot-x86_64.initrd', 'bty-netboot-x86_64.json'];
  const publish = async (version: string, by = key): Promise<string> => {
    const place = join(base, version);
    mkdirSync(place, { recursive: true });
    for (const name of live)
      writeFileSync(join(place, name), name.endsWith('json') ? '{}' : randomBytes(70_000));
    writeFileSync(join(place, 'bty.tgz'), 'not for the appliance');
    await writeManifests(place, [...live, 'bty.tgz'], version, by);
    return place;
  };
  const first = await publish('1.0.0');
  symlinkSync('1.0.0', join(base, 'latest'));

  // What anybody can check by hand.
  execFileSync('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], { cwd: first });
  const minisign = execFileSync('minisign', ['-V', '-p', file, '-m', join(first, 'SHA256SUMS')], {
    encoding: 'utf8',
  });
  assert.match(minisign, /Trusted comment: bty 1\.0\.0 SHA256SUMS/);

  const url = await serve(context, base);
  const config = { bootReleaseRepo: `${url}/{tag}/`, bootReleaseKey: publicLine(key) };
  const appliance = await startTestAppliance(context, { config });
  const boot = join(appliance.stateDir, 'boot');
  const here = (name: string) => readFileSync(join(boot, name));
  assert.equal((await fetched(appliance, 'latest')).status, 'completed');
  for (const name of live) assert.deepEqual(here(name), readFileSync(join(first, name)), name);
  const served = await fetch(`${appliance.url}/boot/${live[0]}`);
  assert.deepEqual(Buffer.from(await served.arrayBuffer()), readFileSync(join(first, live[0] ?? '')));

  const damaged = await publish('1.1.0');
  const kernel = readFileSync(join(damaged, live[0] ?? ''));
  writeFileSync(join(damaged, live[0] ?? ''), Buffer.concat([kernel.subarray(1), Buffer.of(0)]));
  const list = join(await publish('1.2.0'), 'bty-netboot-x86_64.sha256');
  writeFileSync(list, `${readFileSync(list, 'utf8')}${'0'.repeat(64)}  more\n`);
  const other = temporaryDirectory(context);
  await publish('1.3.0', newKey(other).key);
  const bare = await publish('1.4.0');
  execFileSync('rm', [join(bare, 'bty-netboot-x86_64.sha256.minisig')]);
  const refused = {
    '1.1.0': /./,
    '1.2.0': /not one of its list/,
    '1.3.0': /signed by the key/,
    '1.4.0': /cannot be had/,
  };
  for (const [tag, why] of Object.entries(refused)) {
    const { status, error } = await fetched(appliance, tag);
    assert.equal(status, 'failed', tag);
    assert.match(error ?? '', why);
    for (const name of live) assert.deepEqual(here(name), readFileSync(join(first, name)), `${tag} ${name}`);
  }
  const newer = await publish('2.0.0');
  assert.equal((await fetched(appliance, '2.0.0')).status, 'completed');
  assert.deepEqual(here(live[1] ?? ''), readFileSync(join(newer, live[1] ?? '')));
});

test('a key that is none is refused before anything is fetched', async (context) => {
  await assert.rejects(
    startTestAppliance(context, { config: { bootReleaseKey: 'nonsense' } }),
    /boot_release_key.*no public key of minisign/,
  );
});
