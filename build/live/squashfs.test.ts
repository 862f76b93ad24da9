import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { lstat, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CpioEntry } from '../../shared/archive/cpio.ts';
import { squashfs } from './squashfs.ts';

const unsquashfs = ['/usr/bin', '/usr/sbin']
  .map((folder) => join(folder, 'unsquashfs'))
  .find((path) => existsSync(path));
const skip = unsquashfs === undefined ? 'needs squashfs-tools' : false;
const options = { blockBytes: 1 << 16, level: 3 };

/** Path, type and content of everything under `folder`, as `unsquashfs` unpacked it. */
async function contentOf(folder: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const name of await readdir(folder, { recursive: true })) {
    const path = join(folder, name);
    const status = await lstat(path);
    const mode = (status.mode & 0o777).toString(8);
    if (status.isSymbolicLink()) found.set(name, `link ${await readlink(path)}`);
    else if (status.isDirectory()) found.set(name, `folder ${mode}`);
    else found.set(name, `file ${mode} ${(await readFile(path)).toString('latin1')}`);
  }
  return found;
}

async function unpacked(entries: readonly CpioEntry[]): Promise<ReadonlyMap<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-squashfs-'));
  try {
    await writeFile(join(folder, 'image'), await squashfs(entries, options));
    const args = [
      '-quiet',
      '-no-progress',
      '-no-xattrs',
      '-dest',
      join(folder, 'out'),
      join(folder, 'image'),
    ];
    execFileSync(unsquashfs ?? '', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    return await contentOf(join(folder, 'out'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const file = (name: string, content: Uint8Array, mode = 0o644): CpioEntry => {
  return { kind: 'file', name, mode, content };
};

test('what is stored comes out again, large files, small ones, links and folders of many', {
  skip,
}, async () => {
  // Neither random nor even, so that blocks are packed and others are left as they are.
  const large = Buffer.alloc(300_001, 'some words ');
  for (let index = 0; index < 70_000; index++) large[100_000 + index] = (index * index * 31 + index) >> 7;
  const noise = Buffer.from(
    Array.from({ length: 65_536 }, (_, index) => Math.imul(index ^ 0x9e37, 0x85ebca6b) >>> 24),
  );
  const entries: CpioEntry[] = [
    { kind: 'directory', name: 'empty', mode: 0o700 },
    file('large', large, 0o755),
    file('noise', noise),
    file('nothing', new Uint8Array()),
    { kind: 'link', name: 'bin/link', to: '../large' },
    ...Array.from({ length: 700 }, (_, index) =>
      file(`many/deep/${index}.ko`, Buffer.from(`${index} `.repeat(index))),
    ),
  ];
  const found = await unpacked(entries);
  assert.equal(found.size, 700 + 8);
  assert.equal(found.get('empty'), 'folder 700');
  assert.equal(found.get('bin/link'), 'link ../large');
  assert.equal(found.get('large'), `file 755 ${large.toString('latin1')}`);
  assert.equal(found.get('noise'), `file 644 ${noise.toString('latin1')}`);
  assert.equal(found.get('nothing'), 'file 644 ');
  assert.equal(found.get('many/deep/699.ko'), `file 644 ${'699 '.repeat(699)}`);
});

test('any tree comes out as it went in', { skip, timeout: 120_000 }, () => {
  const name = fc.stringMatching(/^[a-zA-Z0-9_.-]{1,40}$/).filter((each) => !/^\.+$/.test(each));
  const content = fc
    .tuple(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 800 }))
    .map(([piece, times]) => Buffer.concat(Array.from({ length: times }, () => piece)));
  const tree = fc.uniqueArray(fc.tuple(name, name, content), {
    maxLength: 12,
    selector: ([folder, file]) => `${folder}/${file}`,
  });
  return fc.assert(
    fc.asyncProperty(tree, async (files) => {
      const found = await unpacked(files.map(([folder, each, bytes]) => file(`d-${folder}/${each}`, bytes)));
      for (const [folder, each, bytes] of files)
        assert.equal(found.get(`d-${folder}/${each}`), `file 644 ${bytes.toString('latin1')}`);
      assert.equal(found.size, files.length + new Set(files.map(([folder]) => folder)).size);
    }),
    { numRuns: 25 },
  );
});

test('the same entries give the same bytes', async () => {
  const entries = [file('b', Buffer.alloc(200_000, 'b')), file('a', Buffer.from('a'))];
  const [one, two] = [await squashfs(entries, options), await squashfs([...entries].reverse(), options)];
  assert.equal(Buffer.compare(one, two), 0);
  assert.equal(one.length % 4096, 0);
});

test('a device is refused', async () => {
  const entry: CpioEntry = { kind: 'character', name: 'null', mode: 0o600, major: 1, minor: 3 };
  await assert.rejects(squashfs([entry], options), /no place/);
});
