import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootSector, placedCore } from './bios.ts';
import { makeTable, partitionTypes, tailSectors } from './gpt.ts';
import { layUnits } from './overlay.ts';
import { missingTools } from './tools.ts';

const recipe = join(import.meta.dirname, '..', '..', 'netboot', 'live');

test('every script of stick and appliance is one that a plain shell can read', () => {
  const scripts = [
    ...['init', 'alarm', 'devices', 'interface', 'lease', 'stick', 'desk', 'images', 'systemctl'],
    ...['state', 'apply', 'live-install', 'console', 'setup'].map((name) => join('server', name)),
  ];
  for (const name of scripts) execFileSync('sh', ['-n', join(recipe, name)]);
  assert.ok(readdirSync(join(recipe, 'server', 'units')).length >= 4);
});

test('the console changes network boot as the pages do, and keeps what else they set', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bty-console-'));
  try {
    const file = join(folder, 'dhcp', 'settings.json');
    const run = (...words: readonly string[]) =>
      execFileSync(process.execPath, [join(recipe, 'server', 'network-boot'), file, ...words], {
        encoding: 'utf8',
      });
    assert.equal(run(), 'off\n');
    run('full', 'eth0');
    assert.equal(run(), 'full eth0\n');
    const subnets = [{ network: '10.0.0.0/24', ranges: [] }];
    const saved = { interfaces: [{ interface: 'eth0', mode: 'full', subnets }], overrides: [] };
    await writeFile(file, JSON.stringify(saved));
    run('proxy', 'eth1');
    assert.equal(run(), 'proxy eth1\n');
    run('off');
    assert.equal(run(), 'off\n');
    const kept: unknown = JSON.parse(await readFile(file, 'utf8'));
    assert.deepEqual(kept, {
      interfaces: [
        { interface: 'eth0', mode: 'off', subnets },
        { interface: 'eth1', mode: 'off' },
      ],
      overrides: [],
    });
    await writeFile(file, 'damaged');
    assert.equal(run(), 'off\n');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the appliance begins with its state and its pages, and SSH waits for its switch in every way', async () => {
  const tree = await mkdtemp(join(tmpdir(), 'bty-units-'));
  try {
    const units = join(tree, 'etc/systemd/system');
    // As Debian's package for the server leaves them.
    await mkdir(join(units, 'multi-user.target.wants'), { recursive: true });
    await mkdir(join(units, 'sockets.target.wants'));
    await symlink('/lib/systemd/system/ssh.service', join(units, 'multi-user.target.wants/ssh.service'));
    await symlink('/lib/systemd/system/ssh.socket', join(units, 'sockets.target.wants/ssh.socket'));
    await symlink('/lib/systemd/system/ssh.service', join(units, 'sshd.service'));
    // Twice gives the same as once.
    for (let times = 0; times < 2; times++) await layUnits({ tree, serial: 'ttyS0' });
    assert.deepEqual(readdirSync(join(units, 'multi-user.target.wants')).sort(), [
      'bty-apply.service',
      'bty-live.service',
      'bty-web.service',
      'systemd-networkd.service',
      'systemd-resolved.service',
    ]);
    for (const name of ['bty-apply', 'bty-live', 'bty-web', 'bty-state'])
      assert.ok(existsSync(join(units, `${name}.service`)), name);
    assert.deepEqual(readdirSync(join(units, 'sysinit.target.wants')), ['bty-state.service']);
    assert.deepEqual(readdirSync(join(units, 'getty.target.wants')), ['serial-getty@ttyS0.service']);
    assert.deepEqual(readdirSync(join(units, 'sockets.target.wants')), []);
    assert.equal(readdirSync(units).includes('sshd.service'), false);
    const generator = join(tree, 'etc/systemd/system-generators/systemd-ssh-generator');
    assert.equal(await readlink(generator), '/dev/null');
  } finally {
    await rm(tree, { recursive: true });
  }
});

test('a table is whole for sgdisk, and what does not fit is refused', {
  skip: missingTools(['sgdisk']) ?? false,
}, async () => {
  const sectors = 20_480;
  const partition = {
    type: partitionTypes.linux,
    guid: 'A0000000-0000-4000-8000-000000000001',
    name: 'BTY_SYSTEM',
    first: 2048,
    last: 20_000,
  };
  const table = makeTable('A0000000-0000-4000-8000-000000000000', sectors, [partition]);
  const folder = await mkdtemp(join(tmpdir(), 'bty-gpt-'));
  try {
    const path = join(folder, 'disk');
    const file = await open(path, 'wx');
    await file.truncate(sectors * 512);
    await file.write(table.head, 0, table.head.length, 0);
    await file.write(table.tail, 0, table.tail.length, (sectors - tailSectors) * 512);
    await file.close();
    assert.match(execFileSync('sgdisk', ['--verify', path], { encoding: 'utf8' }), /No problems found/);
    const told = execFileSync('sgdisk', ['--info=1', path], { encoding: 'utf8' });
    assert.match(told, /A0000000-0000-4000-8000-000000000001/);
    assert.match(told, /'BTY_SYSTEM'/);
  } finally {
    await rm(folder, { recursive: true });
  }
  for (const wrong of [{ first: 33 }, { last: sectors - 33 }, { first: 3000, last: 2999 }])
    assert.throws(() => makeTable(partition.guid, sectors, [{ ...partition, ...wrong }]), /does not fit/);
});

test('the boot sector and the core name the places of one another', () => {
  const sector = bootSector(new Uint8Array(512), 2048);
  assert.equal(sector.length, 440);
  assert.equal(Buffer.from(sector).readBigUInt64LE(0x5c), 2048n);
  const core = Buffer.from(placedCore(new Uint8Array(30_000).fill(1), 2048, 1 << 20));
  assert.equal(core.length % 512, 0);
  assert.equal(core.readBigUInt64LE(500), 2049n);
  assert.equal(core.readUInt16LE(508), core.length / 512 - 1);
  assert.throws(() => placedCore(new Uint8Array(2048), 1, 1024), /has 2048 bytes, its partition 1024/);
});

test('a missing tool is told with the command that brings it', () => {
  assert.equal(missingTools(['sh']), null);
  assert.match(
    missingTools(['mmdebstrap-that-is-not-there', 'sh']) ?? '',
    /^mmdebstrap-that-is-not-there is missing\. On Debian: apt-get install /,
  );
});
