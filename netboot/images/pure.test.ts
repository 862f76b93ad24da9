/** The parts that decide without touching anything: names, lists of digests, releases, looks, merging. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { Failure } from '../../shared/failure.ts';
import { noise, temporaryDirectory } from '../testing/files.ts';
import { isImageName } from './library.ts';
import { lookAt, readerOf } from './look.ts';
import { digestOf, isPlainName, quoted } from './name.ts';
import { releaseBase, releaseFiles } from './release.ts';
import { parseContentRange } from './resume.ts';
import { parseSums } from './sidecar.ts';
import { type Known, unify } from './unify.ts';

const a = 'a'.repeat(64);
const b = 'b'.repeat(64);

test('a plain name is one name in one folder, whatever it is made of', () => {
  for (const name of [
    'a',
    'a b.img',
    'z\u00fcrich.img',
    '...img'.slice(3),
    'a..b',
    '~',
    '-rf',
    `${'x'.repeat(255)}`,
  ]) {
    assert.ok(isPlainName(name), name);
  }
  for (const name of [
    '',
    '.',
    '..',
    '.a',
    'a/b',
    'a\\b',
    'a\0',
    'a\n',
    '\u007f',
    'x'.repeat(256),
    '\ud800',
    '\u00fc'.repeat(128),
  ]) {
    assert.ok(!isPlainName(name), JSON.stringify(name));
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      if (isPlainName(name)) assert.equal(join('/root', name), `/root/${name}`);
    }),
  );
  assert.ok(
    isImageName('a.img') && isImageName('A.IMG.ZST') && isImageName('a.qcow2') && isImageName('a.iso'),
  );
  assert.ok(
    !isImageName('a.gz') &&
      !isImageName('a.tar.gz') &&
      !isImageName('a.img.sha256') &&
      !isImageName('.a.img'),
  );
  assert.equal(digestOf('AB'.repeat(32)), 'ab'.repeat(32));
  assert.equal(digestOf(`${a}a`), null);
});

test('texts are quoted as the contract quotes them', () => {
  assert.equal(quoted('x'), "'x'");
  assert.equal(quoted("it's"), `"it's"`);
  assert.equal(quoted(`'"`), `'\\'"'`);
  assert.equal(quoted('a\nb\\'), `'a\\x0ab\\\\'`);
});

test('lists of digests are read in every common form, and nonsense is no digest', () => {
  const text = `# comment\n${a}  one.img\n${b} *./two.img\r\nSHA256 (three (3).img) = ${a.toUpperCase()}\n${b}\nnonsense\n`;
  assert.deepEqual(parseSums(text), [
    { sha256: a, name: 'one.img' },
    { sha256: b, name: 'two.img' },
    { sha256: a, name: 'three (3).img' },
    { sha256: b, name: null },
  ]);
  fc.assert(fc.property(fc.string(), (hostile) => void parseSums(hostile)));
});

test('a release lies where its source says, for every form of source', () => {
  assert.equal(
    releaseBase('owner/name', 'latest'),
    'https://github.com/owner/name/releases/latest/download/',
  );
  assert.equal(releaseBase('owner/name', 'v1'), 'https://github.com/owner/name/releases/download/v1/');
  assert.equal(releaseBase('http://host/x', 'latest'), 'http://host/x/');
  assert.equal(releaseBase('http://host/x/', 'v1'), 'http://host/x/v1/');
  assert.equal(releaseBase('http://host/{tag}/files', 'v1'), 'http://host/v1/files/');
  for (const bad of ['', 'owner', 'a/b/c', 'file:///etc', '../../x', 'http://', 'javascript:x/y']) {
    assert.equal(releaseBase(bad, 'latest'), null, bad);
  }
});

test("a release's manifest names plain files, each once, or is refused as a whole", () => {
  assert.deepEqual(releaseFiles(`${a}  kernel\n${b}  initrd\n`), {
    kind: 'valid',
    files: [
      { name: 'kernel', sha256: a },
      { name: 'initrd', sha256: b },
    ],
  });
  const many = Array.from({ length: 65 }, (_, index) => `${a}  f${index}`).join('\n');
  const bad = [
    '',
    '\n\n',
    `${a}\n`,
    `${a}  ../x\n`,
    `${a}  .x\n`,
    `${a}  x\n${b}  x\n`,
    `${a}  x\nhello\n`,
    many,
  ];
  for (const text of bad) assert.equal(releaseFiles(text).kind, 'invalid', text);
  fc.assert(
    fc.property(fc.string(), (hostile) => {
      const found = releaseFiles(`${a}  ${hostile}\n`);
      if (found.kind === 'valid') for (const { name } of found.files) assert.ok(isPlainName(name));
    }),
  );
});

test('a Content-Range is understood or refused, never guessed', () => {
  assert.deepEqual(parseContentRange('bytes 0-9/10'), { kind: 'bytes', first: 0, last: 9, total: 10 });
  assert.deepEqual(parseContentRange('bytes */10'), { kind: 'asked', total: 10 });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((rest) => `bytes ${rest}`),
      ),
      (header) => {
        try {
          const range = parseContentRange(header);
          if (range.kind === 'bytes') assert.ok(range.first <= range.last && range.last < range.total);
        } catch (error) {
          assert.ok(error instanceof Failure && error.code === 'UPLOAD_RANGE');
        }
      },
    ),
  );
});

const known = (changes: Partial<Known>): Known => ({
  local: [],
  manifest: [],
  rows: [],
  cached: new Set(),
  ...changes,
});
const file = (name: string, sha256: string | null) => {
  return {
    name,
    path: `/i/${name}`,
    size: 5,
    sha256,
    format: 'img',
    virtualBytes: 5,
    problem: null,
    checked: true,
  };
};
const entry = (name: string, sha256: string) => {
  return { name, src: `http://x/${name}`, sha256, format: null, sizeBytes: 7, description: null };
};
const row = (name: string, sha256: string | null, added_at: string) => {
  const rest = { sha_url: null, format: 'img.gz', size_bytes: null, description: null };
  return { src: `http://y/${name}`, sha256, name, added_at, ...rest };
};

test('one image of several places is one row, and the rows have the order of the contract', () => {
  const all = unify(
    known({
      local: [file('z.img', a), file('y.img', null), file('a.img', a), file('b.img', null)],
      manifest: [entry('m', b), entry('n', a)],
      rows: [row('r2', null, '2'), row('r1', b, '1'), row('r0', null, '3')],
      cached: new Set([b]),
    }),
  );
  assert.deepEqual(
    all.map(({ names, sha256, cached, format, sizeBytes }) => [
      names.join(),
      sha256,
      cached,
      format,
      sizeBytes,
    ]),
    [
      ['m,r1', b, true, 'img.gz', 7],
      ['z.img,a.img,n', a, true, 'img', 5],
      ['b.img', null, false, 'img', 5],
      ['y.img', null, false, 'img', 5],
      ['r2', null, false, 'img.gz', null],
      ['r0', null, false, 'img.gz', null],
    ],
  );
  assert.deepEqual(
    all[1]?.places.map(({ kind }) => kind),
    ['local', 'local', 'manifest'],
  );
});

test('whatever is known, every digest appears once and nothing is lost', () => {
  const digest = fc.constantFrom(a, b, 'c'.repeat(64));
  const name = fc.constantFrom('p', 'q', 'r');
  const sources = fc.record({
    local: fc.array(fc.tuple(name, fc.option(digest)).map(([one, sha]) => file(one, sha))),
    manifest: fc.array(fc.tuple(name, digest).map(([one, sha]) => entry(one, sha))),
    rows: fc.array(fc.tuple(name, fc.option(digest)).map(([one, sha]) => row(one, sha, '1'))),
    cached: fc.array(digest).map((list) => new Set(list)),
  });
  fc.assert(
    fc.property(sources, (one) => {
      const all = unify(one);
      const digests = all.flatMap(({ sha256 }) => (sha256 === null ? [] : [sha256]));
      assert.equal(new Set(digests).size, digests.length);
      const places = all.reduce((sum, image) => sum + image.places.length, 0);
      assert.equal(places, one.local.length + one.manifest.length + one.rows.length);
    }),
  );
});

const look = (name: string, bytes: Uint8Array) =>
  lookAt(name, bytes.length, async (position, length) =>
    Buffer.from(bytes.subarray(Math.max(0, position), position + length)),
  );

test('a look tells the format and, where the file says it, the size of the disk inside', async () => {
  const disk = noise(100_000);
  const fine = { problem: null, checked: true };
  assert.deepEqual(await look('a.img', disk), {
    format: 'img',
    virtualBytes: 100_000,
    packing: 'raw',
    ...fine,
  });
  const frame = (bytes: number) => zstdCompressSync(noise(bytes), { pledgedSrcSize: bytes });
  // As parallel packers write it: several frames, one after the other.
  const zst = Buffer.concat([frame(500_000), Buffer.from('502a4d1802000000ffff', 'hex'), frame(300_000)]);
  assert.deepEqual(await look('a.img.zst', zst), {
    format: 'img.zst',
    virtualBytes: 800_000,
    packing: 'zst',
    ...fine,
  });
  for (const end of [5, 100_000, 300_000]) {
    assert.match((await look('a.img.zst', zst.subarray(0, -end))).problem ?? '', /zst stream is cut/);
  }
  assert.match(
    (await look('a.img.zst', Buffer.concat([zst, disk]))).problem ?? '',
    /followed by something else/,
  );
  assert.deepEqual(await look('a.img.gz', gzipSync(disk)), {
    format: 'img.gz',
    virtualBytes: null,
    problem: null,
    checked: false,
    packing: 'gz',
  });
  assert.match((await look('a.img.gz', disk)).problem ?? '', /name says img.gz/);
  assert.match((await look('a.qcow2', disk)).problem ?? '', /name says qcow2/);
  assert.equal((await look('a.img', Buffer.alloc(0))).problem, 'the file is empty');
  assert.equal((await look('digest', gzipSync(disk))).format, 'img.gz');
});

const xz = await promisify(execFile)('xz', ['--version']).then(
  () => false,
  () => 'needs xz',
);

test('the size of the disk in an xz file is the sum of its blocks', { skip: xz }, async (context) => {
  const path = join(await temporaryDirectory(context), 'a.img');
  await writeFile(path, noise(3_000_000));
  await promisify(execFile)('xz', ['-1', '-T2', '--block-size=500000', path]);
  const handle = await open(`${path}.xz`);
  const { size } = await handle.stat();
  const facts = await lookAt('a.img.xz', size, readerOf(handle));
  await handle.close();
  assert.deepEqual([facts.format, facts.virtualBytes, facts.problem], ['img.xz', 3_000_000, null]);
  const bytes = await readFile(`${path}.xz`);
  assert.equal((await look('a.img.xz', bytes.subarray(0, size - 40))).virtualBytes, null);
});

test('whatever bytes a file holds, a look ends and tells no absurd size', async () => {
  const starts = ['1f8b08', '28b52ffd', 'fd377a585a00', '514649fb', '504b0304', ''];
  const bytes = fc.tuple(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 600 }));
  const name = fc.constantFrom('a.img', 'a.qcow2', 'a.img.zst', 'a.img.xz', 'a.img.gz', 'a', 'a.qcow2.xz');
  await fc.assert(
    fc.asyncProperty(name, bytes, async (one, [start, rest]) => {
      const facts = await look(one, Buffer.concat([Buffer.from(start, 'hex'), rest]));
      assert.ok(facts.virtualBytes === null || Number.isSafeInteger(facts.virtualBytes));
    }),
    { numRuns: 300 },
  );
});
