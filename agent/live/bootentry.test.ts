import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { failure } from '../../shared/failure.ts';
import type { ToolCall } from '../disk/tool.ts';
import { entriesOf, makeBootEntry } from './bootentry.ts';

/** Firmware as efibootmgr(8) shows it: entries by number, an order that names only entries that are there. */
class Firmware {
  readonly entries = new Map<string, { readonly label: string; readonly isActive: boolean }>();
  order: string[] = [];
  next: string | null = null;

  readonly run = async ({ args }: ToolCall): Promise<string> => {
    const value = (name: string): string => args[args.indexOf(name) + 1] ?? '';
    if (args.includes('--delete-bootnum')) {
      this.entries.delete(value('--bootnum'));
      this.order = this.order.filter((number) => number !== value('--bootnum'));
    }
    if (args.includes('--create-only')) {
      let number = 0;
      while (this.entries.has(hex(number))) number++;
      this.entries.set(hex(number), { label: value('--label'), isActive: true });
    }
    if (args.includes('--bootnext')) this.next = value('--bootnext');
    if (args.includes('--bootorder')) {
      const order = value('--bootorder').split(',');
      const unknown = order.find((number) => !this.entries.has(number));
      const problem = `Invalid BootOrder order entry value ${unknown}`;
      if (unknown !== undefined) throw failure('TOOL_FAILED', { tool: 'efibootmgr', purpose: '', problem });
      this.order = order;
    }
    return [
      ...['BootCurrent: 0000', 'Timeout: 0 seconds', `BootOrder: ${this.order.join(',')}`],
      ...[...this.entries].map(([number, { label, isActive }]) => {
        return `Boot${number}${isActive ? '*' : ' '} ${label}\tHD(1,GPT,7c1b)/File(\\EFI\\BOOT\\BOOTX64.EFI)`;
      }),
    ].join('\n');
  };
}

const hex = (number: number): string => number.toString(16).toUpperCase().padStart(4, '0');

async function flashed(firmware: Firmware, more: { readonly keep: boolean; readonly title?: string }) {
  const variables = await mkdtemp(join(tmpdir(), 'bty-efivars-'));
  try {
    await writeFile(join(variables, 'BootOrder-8be4df61'), '');
    const { signal } = new AbortController();
    const common = { disk: '/dev/vda', esp: 1, title: 'one.img', variables, signal, run: firmware.run };
    return await makeBootEntry({ ...common, ...more });
  } finally {
    await rm(variables, { recursive: true });
  }
}

test('an entry that is kept stands once at the end of the order, however often the machine is flashed', async () => {
  const firmware = new Firmware();
  firmware.entries.set('0000', { label: 'UiApp', isActive: true });
  firmware.entries.set('0001', { label: 'UEFI PXEv4', isActive: true });
  firmware.order = ['0001', '0000'];
  for (const title of ['one.img', 'two.img', 'two.img']) {
    assert.match(
      await flashed(firmware, { keep: true, title }),
      /told to boot \/dev\/vda next \(entry 0002\)/,
    );
    assert.deepEqual(firmware.order, ['0001', '0000', '0002']);
    assert.equal(firmware.next, '0002');
  }
});

test('an entry whose number was free before the old one is taken away does not leave the old one in the order', async () => {
  const firmware = new Firmware();
  firmware.entries.set('0001', { label: 'UEFI PXEv4', isActive: true });
  firmware.entries.set('0005', { label: 'bty old.img', isActive: false });
  firmware.order = ['0005', '0001'];
  assert.match(await flashed(firmware, { keep: true }), /entry 0000/);
  assert.deepEqual([...firmware.entries.keys()].sort(), ['0000', '0001']);
  assert.deepEqual(firmware.order, ['0001', '0000']);
});

test('without "keep" the order is left alone', async () => {
  const firmware = new Firmware();
  firmware.entries.set('0001', { label: 'UEFI PXEv4', isActive: true });
  firmware.order = ['0001'];
  await flashed(firmware, { keep: false });
  assert.deepEqual([firmware.order, firmware.next], [['0001'], '0000']);
});

test('active and inactive entries are told, and nothing else', () => {
  const listing =
    'BootCurrent: 0001\nBootNext: 0002\nBootOrder: 0001\nBoot0001* bty x\tHD(1)\nBoot000A  bty y\nBoot0002  z';
  assert.deepEqual(
    entriesOf(listing).map(({ number, label }) => [number, label.split('\t')[0]]),
    [
      ['0001', 'bty x'],
      ['000A', 'bty y'],
      ['0002', 'z'],
    ],
  );
});
