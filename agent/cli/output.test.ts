import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { block, envelope, table } from './output.ts';
import { visible, visibleJson, visibleLines } from './visible.ts';

test('a table has upper-case headers, a row of dashes and two spaces between its columns', () => {
  const text = table(
    ['path', 'size_bytes', 'mountpoints', 'removable'],
    [
      ['/dev/sda', 512, ['/', '/boot'], false],
      ['/dev/nvme0n1', null, [], true],
    ],
  );
  assert.equal(
    text,
    [
      'PATH          SIZE BYTES  MOUNTPOINTS  REMOVABLE',
      '------------  ----------  -----------  ---------',
      '/dev/sda      512         /, /boot     false',
      '/dev/nvme0n1                           true',
    ].join('\n'),
  );
});

test('an empty table says so', () => {
  assert.equal(table(['path'], []), '(no entries)');
});

test('a cell cannot break its row or reach the terminal', () => {
  const text = table(['name'], [['a\nb\u001b[2Jc\u009b1m\u202egnp.exe\r']]);
  assert.equal(text.split('\n').length, 3);
  assert.ok(text.endsWith('a\\nb\\x1b[2Jc\\x9b1m\\u202egnp.exe\\r'));
});

test('a block leaves out what is absent', () => {
  const lines: [string, string | number | null][] = [
    ['Path', 'a\tb'],
    ['Virtual size', 12],
    ['SHA-256', null],
  ];
  assert.equal(block(lines), 'Path:         a\\tb\nVirtual size: 12');
});

test('the envelope begins with schema_version, a string, and the command', () => {
  const text = envelope('list-disks', { disks: [] });
  assert.equal(text, '{\n  "schema_version": "1",\n  "command": "list-disks",\n  "disks": []\n}');
});

test('lines keep their line feeds and nothing else that a terminal obeys', () => {
  assert.equal(visibleLines('a\nb\u0007'), 'a\nb\\x07');
});

test('letters of every script stay as they are', () => {
  for (const text of ['Größe', '磁盘', 'диск', '💾', 'a b']) assert.equal(visible(text), text);
});

test('visible text is one line without controls, whatever goes in', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.doesNotMatch(visible(text), /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
    }),
  );
});

test('visible JSON means the same and holds no control but its own line feeds', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
      const json = visibleJson({ value, text }, 2);
      assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify({ value, text })));
      assert.doesNotMatch(json.replaceAll('\n', ''), /[\p{Cc}\u202a-\u202e]/u);
    }),
  );
});
