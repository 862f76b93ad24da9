/** A real operating system: flashed, enlarged, started without the firmware, and started by it. `npm run test:pxe` only. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { debianImage, noDebian } from './debian.ts';
import { agentStarts, noScene, Scene } from './scene.ts';

const execute = promisify(execFile);
const skip = noScene() || noDebian() || (process.env.BTY_PXE === 'all' ? false : 'npm run test:pxe runs it');
const timeout = 2_400_000;

describe('Debian', { skip }, () => {
  let scene: Scene;
  before(
    async () => {
      scene = await Scene.make({ dhcp: 'full', settings: ['--grow', '--after', 'kexec'] });
    },
    { timeout },
  );
  after(() => scene?.close());

  test('it is flashed with 512 MB of memory, fills the larger disk, and comes to its login prompt by kexec and by UEFI', {
    timeout,
  }, async () => {
    const image = await debianImage();
    const sha256 = createHash('sha256')
      .update(await readFile(image.path))
      .digest('hex');
    await scene.appliance.upload(image.path, 'debian.img.zst', sha256);
    const mac = '52:54:00:7b:00:01';
    const disk = scene.disk('debian', { bytes: image.bytes + (512 << 20) });
    await scene.appliance.bind(mac, { image_sha256: sha256, boot_policy: 'flash-once' });
    await scene.withGuest(
      { name: 'debian', firmware: 'uefi', mac, tap: 0, disks: [disk], megabytes: 512 },
      async (guest) => {
        await guest.sees(agentStarts, 300, 'the agent');
        await guest.sees(/Partition 2 was enlarged by 5\d\d\.\d MB/, 600, 'written and verified');
        await guest.sees(/The file system on \/dev\/vda2 fills its partition now/, 30);
        await guest.sees(/Done: debian\.img\.zst is on \/dev\/vda/, 30);
        await guest.sees(/Starting the kernel of the disk/, 60, 'kexec');
        const from = guest.console.length;
        await guest.sees(/flashed login:/, 300, 'login prompt');
        assert.doesNotMatch(guest.console.slice(from), /Start PXE|BdsDxe/, 'the firmware had no part in it');
        const machine = await scene.appliance.machine(mac);
        assert.ok(machine?.last_flashed_at);
        const { stdout } = await execute('dumpe2fs', ['-h', `${disk.file}?offset=${image.rootAt}`]);
        const [, blocks] = /^Block count:\s+(\d+)/m.exec(stdout) ?? [];
        assert.ok(Number(blocks) * 4096 > disk.bytes - image.rootAt - (4 << 20), stdout);
        await guest.monitor('system_reset');
        await guest.sees(/Start PXE over IPv4/, 90);
        await guest.sees(/flashed login:/, 300, 'login prompt by way of the firmware');
        await scene.reaches(mac, 'deployed');
        await scene.toldFlash(mac);
      },
    );
  });
});
