import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Boot, beginsNew, mostSteps, newBoot, withStep } from './boot.ts';
import { diagnose, hints } from './diagnose.ts';
import type { Step, StepNews } from './step.ts';

const mac = '52:54:00:00:00:01';
const uefi = { architecture: 7, vendorClass: 'PXEClient:Arch:00007', userClass: null, uuid: null };
const discover: StepNews = { kind: 'discover', seconds: 0, relay: null, ...uefi };
const ipxe: StepNews = { ...discover, userClass: 'iPXE' };
const offer = (form: 'proxy-4011' | 'full-43'): Extract<StepNews, { kind: 'offer' }> => {
  return {
    kind: 'offer',
    form,
    server: '10.0.0.1',
    offered: null,
    bootFile: 'snponly.efi',
    rule: 'x',
    reasons: [],
  };
};
const request = (ours: boolean): StepNews => {
  return {
    kind: 'request',
    request: 'selecting',
    server: ours ? '10.0.0.1' : '10.0.0.254',
    ours,
    wanted: '10.0.0.50',
  };
};
const fetched: StepNews = { kind: 'tftp-done', file: 'snponly.efi', bytes: 1000, milliseconds: 5, resent: 0 };
const reply: StepNews = {
  kind: 'boot-server-reply',
  server: '10.0.0.1',
  bootFile: 'snponly.efi',
  reasons: [],
};
const machine: StepNews = { kind: 'script', script: 'machine', action: 'flash', reason: 'flash' };
const kernel: StepNews = {
  kind: 'file',
  role: 'kernel',
  file: 'k',
  bytes: 1,
  total: 1,
  complete: true,
  milliseconds: 1,
};
const failed = (end: 'timeout' | 'not-found', bytes = 0): StepNews => {
  return { kind: 'tftp-failed', file: 'snponly.efi', bytes, end, message: 'm' };
};

const eio: StepNews = { kind: 'failed', step: 'write', cause: 'EIO' };

function at(news: StepNews, time: number): Step {
  return { at: time, mac, address: null, ...news };
}

function bootOf(...all: readonly StepNews[]): Boot {
  const [first = discover, ...rest] = all;
  return rest.reduce(
    (boot, news, index) => withStep(boot, at(news, (index + 1) * 10)),
    newBoot(at(first, 0)),
  );
}

const cases: readonly (readonly [string, readonly StepNews[]])[] = [
  ['silent', [discover]],
  ['not-answered', [discover, { kind: 'ignored', message: 'x', reasons: ['the boot file a is not here'] }]],
  ['offers-not-merged', [discover, offer('proxy-4011'), discover, offer('proxy-4011')]],
  ['offers-not-taken', [discover, offer('full-43')]],
  ['proxy-ignored', [discover, offer('proxy-4011'), request(false)]],
  ['no-tftp', [discover, offer('proxy-4011'), request(false), reply]],
  ['no-fetch', [discover, offer('full-43'), request(true)]],
  ['probe-only', [discover, offer('full-43'), { kind: 'tftp-probe', file: 'a', bytes: 5 }]],
  ['file-missing', [discover, offer('full-43'), failed('not-found')]],
  ['transfer-unheard', [discover, offer('full-43'), failed('timeout')]],
  ['transfer-broken', [discover, offer('full-43'), failed('timeout', 5000)]],
  ['boot-file-silent', [discover, fetched]],
  ['boot-file-loop', [discover, fetched, discover, fetched, discover, fetched, discover, fetched]],
  ['no-script', [discover, fetched, ipxe]],
  ['script-stopped', [discover, fetched, ipxe, machine]],
  ['no-initrd', [discover, machine, kernel]],
  ['no-agent', [discover, machine, kernel, { kind: 'token' }]],
  ['flash-silent', [discover, machine, kernel, { kind: 'write', bytes: 5, total: 10 }]],
  ['failed', [discover, machine, { kind: 'failed', step: 'write', cause: 'EIO' }]],
  [
    'failed',
    [discover, machine, eio, { kind: 'plan', action: 'flash' }, eio, { kind: 'agent', version: null }],
  ],
  [
    'done',
    [discover, machine, eio, { kind: 'plan', action: 'flash' }, { kind: 'done', authenticated: true }],
  ],
  ['done', [discover, machine, { kind: 'done', authenticated: true }]],
];

for (const [code, steps] of cases) {
  test(`a boot that stops so is told as ${code}`, () => {
    const found = diagnose(bootOf(...steps), Number.POSITIVE_INFINITY);
    assert.equal(found.code, code);
    assert.ok(found.cause.endsWith('.') || found.cause.includes(':'), found.cause);
    assert.equal(found.advice === '', found.state === 'done');
  });
}

test('two offers that were not taken name the other server and what to set there', () => {
  const foreign: StepNews = { kind: 'foreign-offer', server: '192.168.1.1' };
  const found = diagnose(bootOf(discover, offer('proxy-4011'), foreign), Number.POSITIVE_INFINITY);
  assert.match(found.cause, /192\.168\.1\.1 offered an address, none taken/);
  assert.match(found.advice, /full mode, or set options 66\/67 on 192\.168\.1\.1/);
});

test('where only its presence was seen, the other server is named all the same', () => {
  const beside: StepNews = { ...offer('proxy-4011'), beside: '192.168.1.1' };
  const found = diagnose(bootOf(discover, beside, discover, offer('proxy-4011')), Number.POSITIVE_INFINITY);
  assert.match(found.cause, /2 offers sent beside the DHCP server 192\.168\.1\.1, none taken/);
  assert.match(found.advice, /full mode, or set options 66\/67 on 192\.168\.1\.1/);
});

test('while a boot goes on it is called running', () => {
  assert.equal(diagnose(bootOf(discover, offer('full-43')), 1000).state, 'running');
});

test('many trains of DISCOVERs are one boot; silence or a restart after the live system begins another', () => {
  const waiting = bootOf(discover, offer('full-43'));
  for (const time of [4000, 60_000, 100_000]) assert.ok(!beginsNew(waiting, at(discover, time)));
  assert.ok(beginsNew(waiting, at(discover, 200_000)));
  const flashed = bootOf(discover, machine, kernel, { kind: 'done', authenticated: true });
  assert.ok(beginsNew(flashed, at(discover, 6000)));
  const linux: StepNews = { ...discover, vendorClass: 'udhcp 1.35.0' };
  assert.ok(!beginsNew(flashed, at(linux, 6000)));
  const chain = bootOf(discover, fetched);
  assert.ok(!beginsNew(chain, at(ipxe, 1000)));
});

test('progress takes the place of the progress before it, and a long boot keeps its beginning', () => {
  let boot = bootOf(discover);
  for (let bytes = 0; bytes < 100; bytes += 1)
    boot = withStep(boot, at({ kind: 'write', bytes, total: 100 }, bytes));
  assert.equal(boot.steps.length, 2);
  for (let count = 0; count < 1000; count += 1) boot = withStep(boot, at(discover, count));
  assert.equal(boot.steps.length, mostSteps);
  assert.equal(boot.steps[0]?.at, 0);
  assert.equal(boot.dropped, 1002 - mostSteps);
});

test('a first packet that comes late hints at spanning tree', () => {
  assert.equal(hints(bootOf({ ...discover, seconds: 30 })).length, 1);
  assert.equal(hints(bootOf(discover)).length, 0);
});

test('any order of steps has a diagnosis', () => {
  const news = cases.flatMap(([, steps]) => steps);
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...news), { minLength: 1, maxLength: 30 }),
      fc.nat(400_000),
      (steps, now) => {
        const found = diagnose(bootOf(...steps), now);
        assert.ok(found.cause.length > 0 && found.code.length > 0);
      },
    ),
  );
});
