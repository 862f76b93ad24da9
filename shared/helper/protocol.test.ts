import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type HelperCommand,
  type HelperJob,
  type HelperTarget,
  mostTargets,
  parseCommand,
  parseJob,
  requestLine,
} from './protocol.ts';

const nonce = '0123456789abcdef0123456789abcdef';
const target: HelperTarget = {
  kind: 'disk',
  path: '/dev/sdb',
  size: 32_000_000_000,
  serial: '4F2A',
  diskseq: 12,
  transport: 'usb',
  allowLoop: false,
  allowSystemDisk: false,
};
const job: HelperJob = {
  kind: 'job',
  version: 2,
  nonce,
  image: { kind: 'file', path: '/home/ann/debian.img.zst', sha256: null },
  targets: [target, { kind: 'virtual', path: '/tmp/disk', size: 512 }],
  verify: 'full',
  bmap: 'auto',
  sparse: false,
  unmount: true,
  allowCut: false,
  mayAddTargets: false,
};
const told = (value: object): string => {
  const parsed = parseJob(JSON.stringify(value), nonce);
  return parsed.kind === 'invalid' ? parsed.problem : 'taken';
};

test('a job is taken as it was meant', () => {
  assert.deepEqual(parseJob(requestLine(job), nonce), { kind: 'valid', value: job });
  const images = [
    { kind: 'url', url: 'https://images.example.org/a.img', sha256: 'a'.repeat(64) },
    { kind: 'catalog', catalog: '/home/ann/catalog.toml', name: 'debian', sha256: null },
    { kind: 'catalog', catalog: 'https://images.example.org/catalog.toml', name: 'debian', sha256: null },
    { kind: 'file', path: 'C:\\images\\a.img', sha256: null },
  ];
  for (const image of images) assert.equal(told({ ...job, image }), 'taken');
});

test('what differs from a job is refused with its place', () => {
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ ...job, version: 1 }, /version 1, this is version 2/],
    [{ ...job, version: '1' }, /version "1"/],
    [{ ...job, nonce: 'f'.repeat(32) }, /another greeting/],
    [{ ...job, extra: 1 }, /"\/extra" is not known here/],
    [{ ...job, targets: [] }, /"\/targets"/],
    [{ ...job, targets: Array(mostTargets + 1).fill(target) }, /"\/targets"/],
    [{ ...job, targets: [{ ...target, force: true }] }, /"\/targets\/0/],
    [{ ...job, targets: [{ ...target, path: 'sdb' }] }, /"\/targets\/0/],
    [{ ...job, targets: [{ ...target, path: '/dev/sdb\0' }] }, /"\/targets\/0/],
    [{ ...job, targets: [{ ...target, size: -1 }] }, /"\/targets\/0/],
    [{ ...job, targets: [{ ...target, size: 1e300 }] }, /"\/targets\/0/],
    [{ ...job, targets: [{ ...target, diskseq: undefined }] }, /"\/targets\/0/],
    [{ ...job, image: { kind: 'file', path: '-', sha256: null } }, /"\/image/],
    [{ ...job, image: { kind: 'file', path: '../secret', sha256: null } }, /"\/image/],
    [{ ...job, image: { kind: 'url', url: 'file:///etc/shadow', sha256: null } }, /"\/image/],
    [{ ...job, image: { kind: 'url', url: 'http:///x', sha256: null } }, /"\/image/],
    [{ ...job, image: { kind: 'file', path: '/a', sha256: 'A'.repeat(64) } }, /"\/image/],
    [{ ...job, bmap: 'beside' }, /"\/bmap"/],
    [{ ...job, verify: 'some' }, /"\/verify"/],
    [{ kind: 'cancel' }, /not a job/],
    [[job], /no JSON object/],
  ];
  for (const [value, problem] of cases)
    assert.match(told(value), problem, JSON.stringify(value).slice(0, 200));
  for (const line of ['', '{', 'null', '1', '"job"', '{"__proto__":{"kind":"job"}}'])
    assert.equal(parseJob(line, nonce).kind, 'invalid', line);
});

test('commands are taken as they were meant, and nothing else', () => {
  const commands: readonly HelperCommand[] = [
    { kind: 'cancel' },
    { kind: 'skip-verification' },
    { kind: 'add-target', target },
  ];
  for (const command of commands)
    assert.deepEqual(parseCommand(requestLine(command)), { kind: 'valid', value: command });
  const others = [
    job,
    { kind: 'cancel', now: true },
    { kind: 'add-target' },
    { kind: 'toString' },
    { kind: 7 },
    { kind: [[]] },
    {},
  ];
  for (const other of others) assert.equal(parseCommand(JSON.stringify(other)).kind, 'invalid');
});

test('no line makes the parser throw, and its problem is short and printable', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (line) => {
      for (const parsed of [parseJob(line, nonce), parseCommand(line)]) {
        if (parsed.kind === 'valid') continue;
        assert.ok(parsed.problem.length < 400);
        assert.doesNotMatch(parsed.problem, /\p{Cc}/u);
      }
    }),
  );
});

test('a job with any one part replaced is taken or refused, never half', () => {
  const paths = [
    'image',
    'targets',
    'verify',
    'bmap',
    'sparse',
    'allowCut',
    'unmount',
    'mayAddTargets',
    'kind',
    'nonce',
  ];
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.jsonValue(), (key, value) => {
      const parsed = parseJob(JSON.stringify({ ...job, [key]: value }), nonce);
      if (parsed.kind === 'valid')
        assert.deepEqual(Object.keys(parsed.value).sort(), Object.keys(job).sort());
    }),
  );
});
