/** The local boot loader in a virtual machine with UEFI firmware: it starts what lies on the disk. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { localBootTargets } from '../boot/binary.ts';
import { buildGrub, buildLocalBoot, localBootNeeds } from '../boot/localboot.ts';
import { temporaryDirectory } from '../testing/files.ts';

const run = promisify(execFile);
const target = localBootTargets.find(({ platform }) => platform === 'x86_64');
const firmware = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const needed = [firmware, '/usr/bin/qemu-system-x86_64', '/usr/bin/mformat', '/usr/sbin/sgdisk'];
const absent = needed.find((path) => !existsSync(path)) ?? (target ? localBootNeeds(target) : 'no target');

/** A FAT filesystem at `offset` of `path` that holds `loader` under the name for removable media. */
async function makeFat(path: string, offset: number, sectors: number, loader: string): Promise<void> {
  const place = `${path}@@${offset}`;
  await run('mformat', ['-i', place, '-T', String(sectors), '-H', String(offset / 512), '::']);
  for (const folder of ['::/EFI', '::/EFI/BOOT']) await run('mmd', ['-i', place, folder]);
  await run('mcopy', ['-i', place, loader, '::/EFI/BOOT/BOOTX64.EFI']);
}

/** A GPT disk whose one partition is a FAT filesystem with `loader`. */
async function makeDisk(path: string, loader: string): Promise<void> {
  await writeFile(path, '');
  await truncate(path, 48 << 20);
  await run('/usr/sbin/sgdisk', ['-o', '-n', '1:2048:+40M', '-t', '1:ef00', path]);
  await makeFat(path, 1 << 20, 81920, loader);
}

test('on UEFI the loader starts the disk although another medium comes first', {
  skip: absent ? `${absent} is missing` : false,
  timeout: 900_000,
}, async (context) => {
  assert.ok(target);
  const folder = await temporaryDirectory(context);
  const path = (name: string) => join(folder, name);
  await buildLocalBoot(target, path('localboot.efi'));
  await buildGrub(target, 'echo "MARK disk loader runs from $root"\nsleep 1000\n', path('marker.efi'));
  await makeDisk(path('disk.img'), path('marker.efi'));
  // Stands for the network: a medium without partitions, from which the firmware starts the loader.
  await writeFile(path('medium.img'), '');
  await truncate(path('medium.img'), 8 << 20);
  await makeFat(path('medium.img'), 0, 16384, path('localboot.efi'));
  await copyFile('/usr/share/OVMF/OVMF_VARS_4M.fd', path('vars.fd'));
  const drive = (name: string, id: string, order: number) => [
    ...['-drive', `if=none,id=${id},format=raw,file=${path(name)}`],
    ...['-device', `virtio-blk-pci,drive=${id},bootindex=${order}`],
  ];
  const child = spawn(
    'qemu-system-x86_64',
    [
      ...[
        '-machine',
        'q35,accel=tcg',
        '-cpu',
        'max',
        '-m',
        '256',
        '-nographic',
        '-nodefaults',
        '-serial',
        'stdio',
      ],
      ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${firmware}`],
      ...['-drive', `if=pflash,unit=1,format=raw,file=${path('vars.fd')}`],
      ...drive('medium.img', 'd0', 1),
      ...drive('disk.img', 'd1', 2),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  context.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let text = '';
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`the disk was not started: ${text.slice(-2000)}`)),
      600_000,
    );
    child.once('exit', () => reject(new Error(`the machine ended: ${text.slice(-2000)}`)));
    child.stdout.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (!text.includes('MARK disk loader runs')) return;
      clearTimeout(timer);
      resolve();
    });
  });
  assert.match(text, /Starting \(hd1,gpt1\)\/EFI\/BOOT\/BOOTX64\.EFI/);
});
