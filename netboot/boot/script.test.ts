// biome-ignore-all lint/suspicious/noTemplateCurlyInString: iPXE spells its settings like that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { command, echo, render, word } from './ipxe.ts';
import { bootstrapScript, type LiveSystem, machineScript, type Script } from './script.ts';

const base = 'http://10.0.0.1:8080';
const mac = 'aa:bb:cc:dd:ee:ff';
const context = { base, mac };
const ours: LiveSystem = {
  architecture: 'x86_64',
  kernel: 'bty-netboot-x86_64.vmlinuz',
  initrd: 'bty-netboot-x86_64.initrd',
  squashfs: null,
  parameters: [],
};
const flash: Script = {
  kind: 'live',
  mode: 'flash',
  systems: [ours],
  errand: 'secret',
  imagePath: `/images/${'a'.repeat(64)}/a%20b.img.gz`,
  shell: false,
};
const lines = (script: string) => script.trimEnd().split('\n');
const kernelOf = (script: string) => lines(script).find((line) => line.startsWith('kernel ')) ?? '';

test('a flash loads the live system by the names of the contract, the ticket before the packed initrd', () => {
  const script = machineScript(flash, context);
  assert.equal(lines(script)[0], '#!ipxe');
  assert.ok(lines(script).includes(`set bty-base ${base}`));
  const kernel = kernelOf(script);
  assert.ok(kernel.startsWith('kernel ${bty-base}/boot/bty-netboot-x86_64.vmlinuz '));
  assert.ok(kernel.includes(' bty.server=${bty-base} bty.mac=aa:bb:cc:dd:ee:ff '));
  assert.ok(kernel.includes(` bty.image_url=\${bty-base}/images/${'a'.repeat(64)}/a%20b.img.gz `));
  assert.ok(!kernel.includes('boot=live') && !kernel.includes('bty.mode'));
  assert.ok(!kernel.includes('secret'), 'the token never travels on the command line');
  const initrds = lines(script).filter((line) => line.startsWith('initrd '));
  assert.deepEqual(initrds, [
    'initrd --name bty-ticket ${bty-base}/pxe/aa-bb-cc-dd-ee-ff/ticket/secret || goto failed',
    'initrd --name bty-initrd ${bty-base}/boot/bty-netboot-x86_64.initrd || goto failed',
  ]);
});

test('a live system with a squashfs gets the parameters of live-boot, one with a manifest what it asks for', () => {
  const system = { ...ours, squashfs: 'bty-netboot-x86_64.squashfs', parameters: ['nomodeset'] };
  const kernel = kernelOf(machineScript({ ...flash, mode: 'interactive', systems: [system] }, context));
  assert.ok(
    kernel.includes(
      ' boot=live fetch=${bty-base}/boot/bty-netboot-x86_64.squashfs components quiet console=tty0 ',
    ),
  );
  assert.ok(kernel.includes(' bty.mode=interactive bty.server='));
  assert.ok(kernel.includes(' nomodeset'));
});

test('on UEFI the disk is booted by our loader, on BIOS by what the contract says', () => {
  const disk = machineScript({ kind: 'disk', because: 'policy' }, context);
  const nothing = machineScript({ kind: 'nothing' }, context);
  for (const script of [disk, nothing]) {
    assert.ok(script.includes('iseq ${platform} efi && goto efi_disk ||'));
    assert.ok(script.includes('chain ${bty-base}/boot/${bty-loader} ||\nsanboot --no-describe --drive 0 ||'));
  }
  const bios = (script: string) => script.slice(0, script.indexOf(':efi_disk')).trim().split('\n').slice(-2);
  assert.equal(bios(disk).at(-1), 'exit');
  assert.deepEqual(bios(nothing), ['sanboot --no-describe --drive 0x80 ||', 'exit']);
  assert.ok(nothing.includes('no bty assignment') && nothing.includes('sleep 5'));
});

test('a machine of another architecture finds its own live system', () => {
  const arm: LiveSystem = { ...ours, architecture: 'arm64', kernel: 'k-arm64', initrd: 'i-arm64' };
  const script = machineScript({ ...flash, systems: [ours, arm] }, context);
  assert.ok(script.includes('iseq ${buildarch} arm64 && goto arm64 ||'));
  assert.ok(script.includes('console=ttyAMA0'));
});

test('every label that is gone to is there, once', () => {
  const all: Script[] = [
    flash,
    { kind: 'disk', because: 'x' },
    { kind: 'nothing' },
    { kind: 'wait', reasons: ['a', 'b'], seconds: 60 },
  ];
  for (const script of [...all.map((one) => machineScript(one, context)), bootstrapScript(base)]) {
    const labels = lines(script).filter((line) => line.startsWith(':'));
    assert.equal(new Set(labels).size, labels.length);
    for (const [, target] of script.matchAll(/goto (\w+)/g)) assert.ok(labels.includes(`:${target}`), target);
  }
});

test('the first script asks by the address of the card that booted, and gives up into the disk', () => {
  const script = bootstrapScript(base);
  assert.ok(script.includes(`chain --replace --autofree ${base}/pxe/\${netX/mac:hexhyp}?uuid=\${uuid}`));
  assert.ok(script.includes(':give_up\n'));
});

test('no text from outside can become a command, a setting, a word or a line of a script', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (text) => {
      const shown = render([echo(text)]);
      assert.equal(shown.split('\n').length, 3);
      assert.match(shown, /^#!ipxe\necho [A-Za-z0-9 .,:_()/'"+=@%?-]*\n$/);
      try {
        assert.equal(render([command('chain', [word(text)])]), `#!ipxe\nchain ${text}\n`);
        assert.ok(!/[\s${}|;\\]/.test(text));
      } catch (error) {
        assert.match(String(error), /not a word of a boot script/);
      }
    }),
    { numRuns: 1000 },
  );
});
