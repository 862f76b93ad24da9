import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTestAppliance } from '../testing.ts';

/** Whether a small file system can be mounted here. */
function unable(): string | false {
  if (process.getuid?.() !== 0) return 'mounting a file system needs root';
  return spawnSync('mkfs.ext4', ['-V']).error ? 'mkfs.ext4 is not installed' : false;
}

test('a full disk is told as such, nothing acknowledged is lost, and with room again it goes on', {
  skip: unable(),
}, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'bty-full-'));
  let close = async () => {};
  context.after(async () => {
    await close();
    spawnSync('umount', [mount]);
    rmSync(folder, { recursive: true, force: true });
  });
  const disk = join(folder, 'disk.img');
  const mount = join(folder, 'mount');
  mkdirSync(mount);
  writeFileSync(disk, '');
  truncateSync(disk, 24 * 1024 * 1024);
  execFileSync('mkfs.ext4', ['-q', '-m', '0', disk]);
  const mounted = spawnSync('mount', ['-o', 'loop', disk, mount]);
  if (mounted.status !== 0) return context.skip(`no loop mount here: ${mounted.stderr}`);
  const appliance = await startTestAppliance(context, { stateDir: join(mount, 'state') });
  close = appliance.close;
  const put = async (index: number) => {
    const mac = `02:00:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`;
    const body = JSON.stringify({ notes: 'x'.repeat(8000) });
    const answer = await appliance.askAdmin(`/machines/${mac}`, { method: 'PUT', body });
    await answer.arrayBuffer();
    return { mac, status: answer.status };
  };
  assert.equal((await put(0)).status, 200);
  const ballast = join(mount, 'ballast');
  const { bavail, bsize } = statfsSync(mount);
  writeFileSync(ballast, Buffer.alloc(bavail * bsize - 512 * 1024));
  const kept: string[] = [];
  let refused = 0;
  for (let index = 1; index < 400 && refused < 3; index++) {
    const { mac, status } = await put(index);
    if (status === 200) kept.push(mac);
    else {
      assert.equal(status, 507);
      refused++;
    }
  }
  assert.equal(refused, 3, 'the disk was filled');
  assert.equal((await appliance.ask('/healthz')).status, 200);
  assert.equal((await appliance.ask('/readyz')).status, 503);
  rmSync(ballast);
  assert.equal((await put(1000)).status, 200);
  for (const mac of kept) assert.equal((await appliance.askAdmin(`/machines/${mac}`)).status, 200);
  assert.equal(appliance.services.events.verify().kind, 'intact');
  await appliance.close();
});
