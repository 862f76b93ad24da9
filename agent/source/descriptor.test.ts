import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'smol-toml';
import { Failure } from '../../shared/failure.ts';
import { isDescriptorName, loadDescriptor, parseDescriptor } from './descriptor.ts';
import { temporaryDirectory } from './testing.ts';

const parse = (text: string) => parseDescriptor(Buffer.from(text), 'x.bri');
const digest = 'AB'.repeat(32);

test('a descriptor says where an image is and what it is', () => {
  assert.deepEqual(
    parse(`
      url = "https://host/images/disk%201.img.zst?x=1"
      size_bytes = 5368709120
      sha256 = "${digest}"
      description = "A disk"
      later = ["is", "ignored"]
    `),
    {
      url: 'https://host/images/disk%201.img.zst?x=1',
      name: 'disk 1.img.zst',
      format: 'img.zst',
      sizeBytes: 5368709120,
      sha256: digest.toLowerCase(),
      description: 'A disk',
    },
  );
  assert.deepEqual(parse('url = "http://host/"\nname = "Disk"\nformat = "qcow2"'), {
    url: 'http://host/',
    name: 'Disk',
    format: 'qcow2',
    sizeBytes: null,
    sha256: null,
    description: null,
  });
  assert.equal(parse('url = "http://host/"').name, 'host');
});

test('the first fault of a descriptor is told by its key or line', () => {
  const url = 'url = "http://host/a"\n';
  const faults: readonly (readonly [string, string])[] = [
    ['', '"url" is missing'],
    ['url = 5', '"url" must be an http or https address'],
    ['url = "ftp://host/"', '"url" must be an http or https address'],
    ['url = "http://[bad/"', '"url" must be an http or https address'],
    [`${url}name = " "`, '"name" must be text that is not empty'],
    [`${url}format = 1`, '"format" must be text that is not empty'],
    [`${url}size_bytes = -1`, '"size_bytes" must be a whole number of bytes'],
    [`${url}size_bytes = 1.5`, '"size_bytes" must be a whole number of bytes'],
    [`${url}size_bytes = "1"`, '"size_bytes" must be a whole number of bytes'],
    [`${url}sha256 = "12"`, '"sha256" must be 64 hexadecimal digits'],
    [`${url}description = []`, '"description" must be text'],
    [`${url}size_bytes = 99999999999999999999`, 'line 2: integer value cannot be represented losslessly'],
    [`${url}name = "x`, 'line 2: unfinished string'],
    [`${url}__proto__ = { url = 1 }\nname = 1`, '"name" must be text that is not empty'],
    ['__proto__.url = "http://host/a"', '"url" is missing'],
  ];
  for (const [text, problem] of faults) {
    assert.throws(() => parse(text), {
      code: 'DESCRIPTOR_INVALID',
      message: `x.bri is not a usable image descriptor: ${problem}.`,
    });
  }
  assert.throws(() => parseDescriptor(Buffer.from([0xff, 0xfe]), 'x.bri'), /it is not UTF-8 text/);
});

test('descriptors are read from files of at most 64 KiB', async (context) => {
  const path = join(await temporaryDirectory(context), 'Disk.BRI');
  assert.ok(isDescriptorName(path));
  assert.ok(!isDescriptorName('disk.bri.img'));
  await assert.rejects(loadDescriptor(path), { code: 'IMAGE_NOT_FOUND' });
  const text = 'url = "http://host/disk.img"\n';
  await writeFile(path, text.padEnd(65536, '#'));
  assert.equal((await loadDescriptor(path)).name, 'disk.img');
  await writeFile(path, text.padEnd(65537, '#'));
  await assert.rejects(loadDescriptor(path), {
    code: 'DESCRIPTOR_INVALID',
    message: /larger than 65536 bytes/,
  });
});

test('whatever a descriptor holds, it is usable or a Failure', () => {
  const piece = fc.constantFrom(
    'url',
    '=',
    '"',
    '"""',
    '[',
    ']',
    '{',
    '}',
    '.',
    '\n',
    'http://a',
    '1',
    'name',
    '\\',
    '#',
    ',',
    "'",
    '__proto__',
  );
  const keys = fc.constantFrom(
    'url',
    'name',
    'format',
    'size_bytes',
    'sha256',
    'description',
    '__proto__',
    'constructor',
  );
  const value = fc.oneof(
    fc.string(),
    fc.webUrl(),
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.boolean(),
    fc.array(fc.string()),
    fc.date({ noInvalidDate: true }),
  );
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.array(piece, { maxLength: 60 }).map((pieces) => Buffer.from(pieces.join(''))),
    fc
      .array(fc.tuple(keys, value), { maxLength: 6 })
      .map((entries) => Buffer.from(stringify(Object.fromEntries(entries)))),
    fc.nat(65536).map((depth) => Buffer.from(`url=${'['.repeat(depth)}`)),
  );
  fc.assert(
    fc.property(hostile, (bytes) => {
      try {
        const { url } = parseDescriptor(bytes, 'x.bri');
        assert.match(new URL(url).protocol, /^https?:$/);
      } catch (error) {
        assert.ok(error instanceof Failure && error.message.length < 500, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
