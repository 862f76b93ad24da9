import assert from 'node:assert/strict';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LiveSystems } from './live.ts';

test('a live system is there the moment its two files are, though it was asked for just before', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bty-live-systems-'));
  try {
    const systems = new LiveSystems(folder);
    const of = async () => (await systems.installed()).map(({ architecture }) => architecture);
    assert.deepEqual(await of(), []);
    await writeFile(join(folder, 'bty-netboot-arm64.vmlinuz'), 'x');
    assert.deepEqual(await of(), []);
    await writeFile(join(folder, 'bty-netboot-arm64.initrd'), 'x');
    assert.deepEqual(await Promise.all([of(), of()]), [['arm64'], ['arm64']]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the absence of a live system is found once for all that ask, and over when a file comes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bty-live-systems-'));
  try {
    const systems = new LiveSystems(folder);
    await utimes(folder, 1, 1);
    const found = await systems.installed();
    assert.deepEqual(found, []);
    assert.equal(await systems.installed(), found);
    for (const ending of ['vmlinuz', 'initrd'])
      await writeFile(join(folder, `bty-netboot-x86_64.${ending}`), 'x');
    assert.equal((await systems.installed()).length, 1);
  } finally {
    await rm(folder, { recursive: true });
  }
});
