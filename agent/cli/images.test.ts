import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Failure } from '../../shared/failure.ts';
import { digestIn, listImages } from './images.ts';

const digest = 'ab'.repeat(32);

async function directory(context: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'bty-images-'));
  context.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function files(root: string, contents: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(contents)) await writeFile(join(root, name), content);
}

test('images are listed in the order of their names, with their formats and sizes', async (context) => {
  const root = await directory(context);
  await files(root, { 'b.img.zst': '12', 'a.QCOW2': '1', 'c.img': '', 'B.iso': '', 'd.img.lz4': '' });
  const { images, warnings } = await listImages(root);
  assert.deepEqual(
    images.map(({ name, format, size_bytes }) => [name, format, size_bytes]),
    [
      ['B.iso', 'img', 0],
      ['a.QCOW2', 'qcow2', 1],
      ['b.img.zst', 'img.zst', 2],
      ['c.img', 'img', 0],
      ['d.img.lz4', 'img.lz4', 0],
    ],
  );
  assert.deepEqual(warnings, []);
});

test('links, directories, sidecars, tarballs and names that announce no image are left out', async (context) => {
  const root = await directory(context);
  await files(root, { 'a.img': '', 'a.img.sha256': digest, 'notes.txt.gz': '', 'x.tar.gz': '', README: '' });
  await symlink(join(root, 'a.img'), join(root, 'link.img'));
  await symlink(join(root, 'nowhere'), join(root, 'dangling.bri'));
  await mkdir(join(root, 'folder.img'));
  const { images, warnings } = await listImages(root);
  assert.deepEqual(
    images.map(({ name }) => name),
    ['a.img'],
  );
  assert.deepEqual(warnings, []);
});

test('a digest comes from the sidecar, in each form that sha256sum writes', async (context) => {
  const root = await directory(context);
  await files(root, { 'a.img': '', 'a.img.sha256': `${digest.toUpperCase()}  a.img\n`, 'b.img': '' });
  const { images } = await listImages(root);
  assert.deepEqual(
    images.map(({ sha256 }) => sha256),
    [digest, null],
  );
  assert.equal(digestIn(digest, 'a.img'), digest);
  assert.equal(digestIn(`${'cd'.repeat(32)}  other.img\n${digest} *./dir/a.img\r\n`, 'a.img'), digest);
  assert.equal(digestIn(`${digest}  other.img\n`, 'a.img'), null);
  assert.equal(digestIn(`${digest}00  a.img\n`, 'a.img'), null);
  assert.equal(digestIn('', 'a.img'), null);
});

test('remote images follow the local ones; a malformed descriptor is left out and told', async (context) => {
  const root = await directory(context);
  const url = 'https://images.example.org/d/debian.img.xz';
  await files(root, {
    'z.img': '',
    'a.bri': `url = "${url}"\nsha256 = "${digest}"\nsize_bytes = 7\n`,
    'b.BRI': `url = "${url}"\nname = "other"\nformat = "qcow2"\ndescription = "words"\n`,
    'c.bri': 'url = 1',
    'd.bri': `#${'x'.repeat(70_000)}`,
  });
  const { images, warnings } = await listImages(root);
  assert.deepEqual(images.slice(1), [
    {
      name: 'debian.img.xz',
      format: 'img.xz',
      size_bytes: 7,
      source: 'remote',
      url,
      path: join(root, 'a.bri'),
      sha256: digest,
      description: null,
    },
    {
      name: 'other',
      format: 'qcow2',
      size_bytes: null,
      source: 'remote',
      url,
      path: join(root, 'b.BRI'),
      sha256: null,
      description: 'words',
    },
  ]);
  assert.equal(images[0]?.name, 'z.img');
  assert.equal(warnings.length, 2);
  assert.match(warnings[0] ?? '', /c\.bri .*left out/);
  assert.match(warnings[1] ?? '', /d\.bri .*larger than/);
});

test('a directory that does not exist is an empty listing with a warning', async (context) => {
  const { images, warnings } = await listImages(join(await directory(context), 'none'));
  assert.deepEqual(images, []);
  assert.match(warnings[0] ?? '', /does not exist/);
});

test('a file in place of the directory is a failure', async (context) => {
  const root = await directory(context);
  await files(root, { 'a.img': '' });
  await assert.rejects(listImages(join(root, 'a.img')), (error) => {
    assert.ok(error instanceof Failure);
    assert.deepEqual([error.code, error.exitCode], ['IMAGE_UNREADABLE', 2]);
    return true;
  });
});

test('a name that is not UTF-8 is left out and told; a pipe named as an image does not hang', {
  skip: process.platform === 'linux' ? false : 'needs a file system that keeps names as bytes (Linux)',
}, async (context) => {
  const root = await directory(context);
  await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff]), Buffer.from('.img')]), '');
  for (const name of ['a.img', 'b.bri', 'c.img.sha256']) execFileSync('mkfifo', [join(root, name)]);
  await files(root, { 'c.img': '' });
  const { images, warnings } = await listImages(root);
  assert.deepEqual(
    images.map(({ name, sha256 }) => [name, sha256]),
    [['c.img', null]],
  );
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /not UTF-8/);
});
