import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
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
