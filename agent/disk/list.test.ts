import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import { listDarwin } from './darwin.ts';
import type { Disk } from './disk.ts';
import { listDisks } from './list.ts';
import { parsePlist } from './plist.ts';
import type { ToolCall } from './tool.ts';
import { listWindows } from './windows.ts';

const recorded = (name: string): Promise<string> =>
  readFile(new URL(`./fixtures/${name}`, import.meta.url), 'utf8');

const diskutil = ({ tool, args }: ToolCall): Promise<string> => {
  assert.equal(tool, 'diskutil');
  return recorded(args[0] === 'list' ? 'diskutil-list.plist' : `diskutil-info-${args[2]}.plist`);
};
const powershell = ({ tool, args }: ToolCall): Promise<string> => {
  assert.equal(tool, 'powershell.exe');
  assert.match(args.at(-1) ?? '', /Get-Disk[\s\S]*ConvertTo-Json/);
  return recorded('storage-windows.json');
};

function rows(disks: readonly Disk[]): readonly string[] {
  return disks.map((disk) =>
    [
      disk.path,
      disk.kind,
      disk.sizeText,
      disk.tran ?? '',
      disk.model ?? '',
      disk.serial ?? '',
      disk.removable ? 'removable' : 'fixed',
      disk.rotational === null ? 'unknown' : disk.rotational ? 'turning' : 'solid',
      disk.refusals.map((refusal) => refusal.code.slice(7)).join(' '),
    ].join('|'),
  );
}

test('a Mac shows its physical disks, each with the APFS volumes that it stores', async () => {
  const disks = await listDarwin({ run: diskutil });
  assert.deepEqual(rows(disks), [
    '/dev/disk0|disk|465.9G|nvme|APPLE SSD AP0512Q||fixed|solid|IS_SYSTEM MOUNTED',
    '/dev/disk4|disk|57.3G|usb|Ultra USB 3.0||removable|unknown|MOUNTED',
    '/dev/disk5|disk|29.7G|mmc|Built In SDXC Reader||removable|unknown|READ_ONLY',
  ]);
  const [system, stick] = disks;
  assert.equal(system?.isSystem, true);
  assert.deepEqual(system?.partitions[1]?.mountpoints, [
    '/',
    '/System/Volumes/Preboot',
    '/System/Volumes/Data',
    '/System/Volumes/VM',
  ]);
  assert.deepEqual(stick?.usedBy, [{ kind: 'mount', device: '/dev/disk4s2', at: '/Volumes/R&D <old>' }]);
  assert.equal(system?.logicalBlockSize, 4096);
});

test('a mounted disk image on a Mac is listed on request', async () => {
  const disks = await listDarwin({ run: diskutil, loops: true });
  assert.deepEqual(
    rows(disks)[3],
    '/dev/disk6|loop|100M|image|Disk Image||removable|unknown|MOUNTED READ_ONLY',
  );
});

test('a diskutil that prints nonsense is reported', async () => {
  await assert.rejects(listDarwin({ run: async () => 'Could not find disk' }), { code: 'TOOL_FAILED' });
  assert.deepEqual(await listDarwin({ run: async () => '<plist><string>none</string></plist>' }), []);
});

test('a Windows machine shows its disks by number, with letters, labels and the disk it runs from', async () => {
  const disks = await listWindows({ run: powershell });
  assert.deepEqual(rows(disks), [
    '\\\\.\\PhysicalDrive0|disk|931.5G|nvme|Samsung SSD 970 EVO Plus 1TB|0025_385B_0123_4567.|fixed|solid|IS_SYSTEM MOUNTED',
    '\\\\.\\PhysicalDrive1|disk|3.6T|sata|WDC WD40EFRX-68N32N0|WD-WCC7K4XL1234|fixed|turning|READ_ONLY',
    '\\\\.\\PhysicalDrive2|disk|57.3G|usb|Ultra USB 3.0|4C530001230613116284|removable|unknown|MOUNTED',
  ]);
  const [system, , stick] = disks;
  assert.match(system?.refusals[0]?.message ?? '', /runs from \(the boot partition, C:\\\)\.$/);
  assert.deepEqual(stick?.partitions, [
    {
      path: '\\\\.\\PhysicalDrive2, partition 1',
      size: 61529391104,
      label: 'HOLIDAY',
      fstype: 'exFAT',
      mountpoints: ['E:\\'],
      partlabel: 'IFS',
      used: 12884901888,
    },
  ]);
  const [, , , virtual] = await listWindows({ run: powershell, loops: true });
  assert.deepEqual([virtual?.kind, virtual?.backingFile], ['loop', 'D:\\vm\\test.vhdx']);
});

test('the single disk that PowerShell does not wrap in an array is read', async () => {
  const one = { disks: { Number: 0, Size: 1024, BusType: 7 }, partitions: null, volumes: {}, media: [] };
  const [disk] = await listWindows({ run: async () => JSON.stringify(one) });
  assert.deepEqual([disk?.path, disk?.tran, disk?.removable], ['\\\\.\\PhysicalDrive0', 'usb', true]);
});

test('PowerShell output of any shape is read without a fault', async () => {
  const key = fc.constantFrom(
    'disks',
    'partitions',
    'volumes',
    'media',
    'Number',
    'DiskNumber',
    'AccessPaths',
    'Size',
  );
  const value = fc.dictionary(
    key,
    fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.array(fc.dictionary(key, fc.jsonValue({ maxDepth: 1 })))),
  );
  await fc.assert(
    fc.asyncProperty(value, async (json) => {
      for (const disk of await listWindows({ run: async () => JSON.stringify(json) })) assert.ok(disk.path);
    }),
  );
});

test('property lists of every element are read', () => {
  const text = `<?xml version="1.0" encoding="UTF-8"?>
    <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
    <plist version="1.0"><dict>
      <key>a &amp; b</key><array><integer>-7</integer><real>1.5</real><true/><false/><string/></array>
      <key>__proto__</key><string><![CDATA[<x>]]></string>
      <key>data</key><data>AAEC</data><key>date</key><date>2026-01-01T00:00:00Z</date><key>none</key><dict/>
    </dict></plist>`;
  const value = parsePlist(text) as Record<string, unknown>;
  assert.deepEqual(value['a & b'], [-7, 1.5, true, false, '']);
  assert.deepEqual(Object.keys(value), ['a & b', '__proto__', 'data', 'date', 'none']);
  assert.equal(Object.entries(value)[1]?.[1], '<x>');
});

test('property lists that are none are refused with the reason', () => {
  const broken: readonly (readonly [string, RegExp])[] = [
    ['', /./],
    ['<plist/>', /holds no value/],
    ['<plist><dict><string>x</string></dict></plist>', /no key/],
    ['<plist><dict><key>a</key><key>b</key></dict></plist>', /none belongs/],
    ['<plist><key>a</key></plist>', /none belongs/],
    ['<plist><integer>seven</integer></plist>', /no number/],
    ['<plist><integer/></plist>', /no number/],
    ['<plist><true/><true/></plist>', /second value/],
    ['<html><body/></html>', /<body> is no element/],
    ['<plist><string>x</plist>', /./],
    ['<!DOCTYPE plist [<!ENTITY a "aaaa">]><plist><string>&a;</string></plist>', /./],
    [`<plist>${'<array>'.repeat(100)}`, /nested more than 64/],
  ];
  for (const [text, reason] of broken) assert.throws(() => parsePlist(text), reason, text);
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom(
          '<plist>',
          '<dict>',
          '</dict>',
          '<key>',
          '</key>',
          'x',
          '<array>',
          '</array>',
          '<true/>',
          '</plist>',
          '&',
          '<![CDATA[',
        ),
      ),
      (pieces) => {
        try {
          parsePlist(pieces.join(''));
        } catch (error) {
          assert.ok(error instanceof Error && error.constructor === Error, String(error));
        }
      },
    ),
  );
});

test('this machine lists its disks by itself', {
  skip: !['linux', 'darwin', 'win32'].includes(process.platform) && 'unknown system',
}, async () => {
  for (const disk of await listDisks()) assert.ok(disk.path && disk.size >= 0);
});
