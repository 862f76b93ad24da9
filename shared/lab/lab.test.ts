import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DhcpState } from '../contract/dhcp.ts';
import type { Machine } from '../contract/machine.ts';
import { phases } from '../machine/life.ts';
import { checklistOf } from './checklist.ts';
import { forecastOf } from './forecast.ts';
import { labelAddress } from './label.ts';
import { labelsIn, labelsText } from './labels.ts';
import { type Column, chosenBy, wholeView } from './machines.ts';
import { shownText } from './shown.ts';
import { timelineOf, type WireStep } from './timeline.ts';

const machine = (changes: Partial<Machine> & { readonly mac: string }): Machine => {
  const state = { phase: 'discovered', since: '', step: null, attempt: 0, bytes: null, total: null } as const;
  return {
    image_sha256: null,
    provisioning_mode: 'none',
    hostname: null,
    cijoe_task_ref: null,
    discovered_at: null,
    last_seen_at: null,
    last_seen_ip: null,
    boot_policy: 'local',
    last_flashed_at: null,
    last_task_run_at: null,
    last_task_status: null,
    last_task_output_path: null,
    created_at: '',
    updated_at: '',
    target_disk_serial: null,
    target_disk: null,
    labels: {},
    notes: null,
    smbios_uuid: null,
    smbios_serial: null,
    etag: '',
    state: { ...state, rate: null, disk: null, failure: null, next: 'nothing' },
    ...changes,
  };
};
const some = [
  machine({ mac: '52:54:00:00:00:01', hostname: 'web-2', last_seen_ip: '10.0.0.10', labels: { rack: 'b1' } }),
  machine({ mac: '52:54:00:00:00:02', hostname: 'web-1', last_seen_ip: '10.0.0.9', boot_policy: 'flash' }),
  machine({ mac: '52:54:00:00:00:03', notes: 'loud fan', last_task_status: 'failed' }),
];
const macs = (view: Partial<typeof wholeView>) =>
  chosenBy(some, { ...wholeView, ...view }).map(({ mac }) => Number(mac.slice(-2)));

test('a name shows all of its signs, and other texts stay as they are', () => {
  assert.equal(shownText('\u202egnp.\u2066x'), '\\u{202e}gnp.\\u{2066}x');
  assert.equal(shownText('a\u200bb\u001b[31m\u{e0041}'), 'a\\u{200b}b\\u{1b}[31m\\u{e0041}');
  for (const text of ['', 'two\nlines\tand a tab', 'Gerät №7', 'שלום', '图像.img', '👩\u200d🔧', '<b>&amp;'])
    assert.equal(shownText(text), text);
});

test('the code on a label opens the page from a phone, also when it is printed where the appliance runs', () => {
  const mac = '52:54:00:00:00:01';
  const page = (host: string) => `http://${host}/ui/machines/${mac}`;
  assert.equal(labelAddress(mac, page('bty.lab:8080'), []), page('bty.lab:8080'));
  assert.equal(labelAddress(mac, `${page('10.0.0.1')}?x=1`, ['10.9.9.9']), page('10.0.0.1'));
  for (const here of ['127.0.0.1:8080', 'localhost:8080', '[::1]:8080'])
    assert.equal(
      labelAddress(mac, page(here), ['fe80::1', '127.0.0.1', '10.77.0.1/16']),
      page('10.77.0.1:8080'),
    );
  assert.equal(labelAddress(mac, page('127.0.0.1:8080'), []), null, 'no address is better than a wrong one');
  assert.equal(labelAddress(mac, page('127.0.0.1.example.org'), []), page('127.0.0.1.example.org'));
});

test('machines are found by what is known of them, in any spelling of the MAC', () => {
  assert.deepEqual(macs({ search: 'WEB' }), [1, 2]);
  assert.deepEqual(macs({ search: 'web rack=b1' }), [1]);
  assert.deepEqual(macs({ search: '525400000003' }), [3]);
  assert.deepEqual(macs({ search: '00-00-02' }), [2]);
  assert.deepEqual(macs({ search: 'fan' }), [3]);
  assert.deepEqual(macs({ labels: ['rack'] }), [1]);
  assert.deepEqual(macs({ labels: ['rack=b2'] }), []);
  assert.deepEqual(macs({ policies: ['flash'] }), [2]);
  assert.deepEqual(macs({ task: 'failed' }), [3]);
});

test('addresses are ordered as numbers, and what is unknown stands last in both directions', () => {
  assert.deepEqual(macs({ sort: 'address' }), [2, 1, 3]);
  assert.deepEqual(macs({ sort: 'address', descending: true }), [1, 2, 3]);
  assert.deepEqual(macs({ sort: 'hostname' }), [2, 1, 3]);
});

test('no machine is lost or doubled by any order', () => {
  const columns: readonly Column[] = [
    'mac',
    'hostname',
    'phase',
    'policy',
    'image',
    'address',
    'seen',
    'flashed',
  ];
  const any = fc.record({
    mac: fc
      .integer({ min: 0, max: 255 })
      .map((byte) => `52:54:00:00:00:${byte.toString(16).padStart(2, '0')}`),
    hostname: fc.option(fc.string()),
    last_seen_ip: fc.option(fc.ipV4()),
    phase: fc.constantFrom(...phases),
  });
  fc.assert(
    fc.property(fc.array(any), fc.constantFrom(...columns), fc.boolean(), (rows, sort, descending) => {
      const all = rows.map(({ phase, ...row }) => {
        const one = machine(row);
        return { ...one, state: { ...one.state, phase } };
      });
      const found = chosenBy(all, { ...wholeView, sort, descending });
      assert.deepEqual(new Set(found), new Set(all));
      assert.equal(found.length, all.length);
    }),
  );
});

test('the forecast names the disk that would be overwritten, and is no danger where nothing is', () => {
  const common = { image: 'a.img', disk: null, next: null } as const;
  const serial = { kind: 'serial', serial: 'S1' } as const;
  assert.deepEqual(forecastOf({ ...common, policy: 'flash-once', disk: serial }), {
    key: 'onceSerial',
    values: { image: 'a.img', serial: 'S1' },
    danger: true,
  });
  assert.equal(forecastOf({ ...common, policy: 'flash' }).key, 'flashAny');
  assert.equal(forecastOf({ ...common, policy: 'flash', image: null }).key, 'noImage');
  assert.equal(forecastOf({ ...common, policy: 'flash', next: 'disk' }).key, 'diskOnce');
  assert.equal(forecastOf({ ...common, policy: 'flash', next: 'stopped' }).key, 'stopped');
  for (const policy of ['local', 'tui', 'inventory'] as const)
    assert.equal(forecastOf({ ...common, policy, disk: serial }).danger, false, policy);
});

test('labels are read as they are written, and what is no label is refused', () => {
  assert.deepEqual(labelsIn('rack=b3\n\n gpu \nnote=a=b'), { rack: 'b3', gpu: '', note: 'a=b' });
  for (const bad of ['=x', 'a b=c', 'é=1', `a=${'x'.repeat(256)}`]) assert.equal(labelsIn(bad), null, bad);
  const name = fc
    .stringMatching(/^[A-Za-z0-9]([A-Za-z0-9._/-]{0,20}[A-Za-z0-9])?$/)
    .filter((key) => key !== '__proto__');
  const value = fc.stringMatching(/^[A-Za-z0-9=._-]{0,40}$/);
  fc.assert(
    fc.property(fc.dictionary(name, value, { maxKeys: 20, noNullPrototype: true }), (labels) => {
      assert.deepEqual(labelsIn(labelsText(labels)), labels);
    }),
  );
});

const step = (at: number, kind: string, more: object = {}): WireStep => ({
  at: new Date(at * 1000).toISOString(),
  kind,
  ...more,
});

test('a boot is told in stretches, and where it stopped is the one that failed', () => {
  const steps = [
    step(0, 'discover', { vendorClass: 'PXEClient', userClass: null }),
    step(1, 'offer', { server: '10.0.0.1', offered: '10.0.0.9', reasons: ['it is known'] }),
    step(2, 'tftp-start', { file: 'snponly.efi' }),
    step(3, 'tftp-failed', { file: 'snponly.efi', message: 'timeout' }),
    step(4, 'discover', { userClass: 'iPXE' }),
    step(5, 'script', { script: 'machine', action: 'flash', reason: 'armed' }),
    step(6, 'file', { role: 'kernel', file: 'vmlinuz', complete: false }),
  ];
  const told = timelineOf(steps, { state: 'stopped' });
  assert.deepEqual(
    told.map(({ station, again, state }) => [station, again, state]),
    [
      ['network', false, 'done'],
      ['loader', false, 'done'],
      ['network', true, 'done'],
      ['script', false, 'done'],
      ['live', false, 'failed'],
    ],
  );
  assert.deepEqual(told[0]?.steps[1]?.reasons, ['it is known']);
  assert.equal(told[1]?.steps[1]?.tone, 'bad');
  assert.deepEqual([told[4]?.steps[0]?.kind, told[4]?.steps[0]?.tone], ['fileCut', 'bad']);
  assert.equal(timelineOf(steps, { state: 'running' }).at(-1)?.state, 'now');
  assert.deepEqual(timelineOf([], { state: 'running' }), []);
});

test('every step of any kind stands in exactly one stretch, in its order', () => {
  const kinds = fc.constantFrom(
    'discover',
    'offer',
    'tftp-done',
    'script',
    'file',
    'failed',
    'write',
    'nonsense',
  );
  fc.assert(
    fc.property(fc.array(fc.record({ kind: kinds, role: fc.string() })), (rows) => {
      const steps = rows.map(({ kind, role }, index) => step(index, kind, { role }));
      const told = timelineOf(steps, { state: 'done' }).flatMap((stretch) => stretch.steps);
      assert.deepEqual(
        told.map(({ at }) => at),
        steps.map(({ at }) => at),
      );
    }),
  );
});

const dhcp = (changes: Partial<DhcpState>): DhcpState => ({
  interface: 'eth0',
  mode: 'proxy',
  problem: null,
  addresses: [],
  foreign: [],
  received: 0,
  answered: 0,
  malformed: 0,
  shed: 0,
  code: null,
  advice: null,
  details: {},
  unprobed: 0,
  ...changes,
});

test('the checklist names what is missing, and another server only where it does harm', () => {
  const ready = [{ name: 'boot files', ok: false, reason: 'There are none.' }];
  const missing = (images: number, states: readonly DhcpState[]) =>
    checklistOf({ ready, dhcp: states, images }).flatMap(({ ok, title }) => (ok ? [] : [title]));
  assert.deepEqual(missing(0, []), ['boot files', 'network', 'images']);
  const foreign = [{ address: '10.0.0.3', at: 0 }];
  assert.deepEqual(missing(1, [dhcp({ foreign })]), ['boot files']);
  assert.deepEqual(missing(1, [dhcp({ mode: 'full', foreign })]), ['boot files', 'foreign']);
  assert.deepEqual(missing(1, [dhcp({ problem: 'The cable is out.' })]), ['boot files', 'network']);
});
