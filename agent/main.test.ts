import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { bty, directory, envelope, start } from './cli/testing.ts';

test('--version prints the version of package.json', async () => {
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  assert.deepEqual(await bty(['--version']), { code: 0, stdout: `bty ${version}\n`, stderr: '' });
});

test('no command is misuse: usage and a sentence on standard error, nothing on standard output', async () => {
  const { code, stdout, stderr } = await bty([]);
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /^usage: bty .*\nbty: Name a command/);
});

test('help goes to standard output and succeeds', async () => {
  const { code, stdout, stderr } = await bty(['help', 'flash']);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^usage: bty flash /);
});

test('a flash without --dry-run and --yes is misuse that names both', async () => {
  const { code, stdout, stderr } = await bty(['flash', '--image', 'x', '--target', 'y']);
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /^bty: .*--dry-run.*--yes/m);
});

test('disks are listed with the keys of the contract first', {
  skip: existsSync('/sys/block') ? false : 'needs /sys/block (Linux)',
}, async () => {
  const ended = await bty(['list', 'disks', '--json']);
  assert.deepEqual([ended.code, ended.stderr], [0, '']);
  const { disks } = envelope(ended, 'list-disks') as { disks: Record<string, unknown>[] };
  const keys = 'path size type vendor model serial tran removable readonly mountpoints'.split(' ');
  for (const disk of disks) {
    assert.deepEqual(Object.keys(disk).slice(0, keys.length), keys);
    assert.equal(disk.type, 'disk');
    assert.equal(typeof disk.size, 'string');
    assert.equal(typeof disk.size_bytes, 'number');
  }
});

test('a missing lsblk is told with exit code 4', {
  skip: process.platform === 'linux' ? false : 'needs Linux',
}, async (context) => {
  const ended = await bty(['list', 'disks'], { env: { PATH: await directory(context) } });
  assert.deepEqual([ended.code, ended.stdout], [4, '']);
  assert.match(ended.stderr, /^bty: "lsblk" is needed to .*\n.+\n$/);
});

test('images come from --image-root, else from BTY_IMAGE_ROOT', async (context) => {
  const path = await directory(context);
  await writeFile(join(path, 'a.img'), 'x');
  const ended = await bty(['list', 'images', '--json'], { env: { BTY_IMAGE_ROOT: path } });
  const image = {
    name: 'a.img',
    path: join(path, 'a.img'),
    format: 'img',
    size_bytes: 1,
    sha256: null,
    source: 'local',
  };
  assert.deepEqual(envelope(ended, 'list-images'), {
    schema_version: '1',
    command: 'list-images',
    image_root: path,
    images: [image],
  });
  const missing = await bty(['list', 'images', '--image-root', join(path, 'none')], {
    env: { BTY_IMAGE_ROOT: path },
  });
  assert.deepEqual([missing.code, missing.stdout], [0, '(no entries)\n']);
  assert.match(missing.stderr, /^bty: The image directory .*none does not exist\.\n$/);
});

test('hostile file names reach a terminal only as escapes', async (context) => {
  const path = await directory(context);
  const name = 'a\n\u001b]0;owned\u0007\u202e.img';
  await writeFile(join(path, name), 'x');
  const listed = await bty(['list', 'images', '--image-root', path]);
  assert.equal(listed.stdout.split('\n')[2], 'a\\n\\x1b]0;owned\\x07\\u202e.img  img     1           local');
  const json = await bty(['list', 'images', '--image-root', path, '--json']);
  assert.doesNotMatch(json.stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u);
  const { images } = envelope(json, 'list-images') as { images: { name: string }[] };
  assert.equal(images[0]?.name, name);
  const inspected = await bty(['inspect', 'image', join(path, `${name}.gone`)]);
  assert.equal(inspected.code, 2);
  assert.match(inspected.stderr, /^bty: There is no image at \P{Cc}*\\x1b\P{Cc}*\n\P{Cc}+\n$/u);
  assert.doesNotMatch(inspected.stderr, /\p{Cf}/u);
});

test('an image is inspected in JSON and in text', async (context) => {
  const path = join(await directory(context), 'tiny.img');
  const image = Buffer.alloc(1 << 20);
  // One FAT partition at sector 64, of 128 sectors.
  image.set([0x80, 0, 0, 0, 0x0c, 0, 0, 0, 64, 0, 0, 0, 128, 0, 0, 0], 446);
  image.set([0x55, 0xaa], 510);
  await writeFile(path, image);
  const ended = await bty(['inspect', 'image', path, '--json', '--checksum']);
  assert.deepEqual([ended.code, ended.stderr], [0, '']);
  const { image: told } = envelope(ended, 'inspect-image') as { image: Record<string, unknown> };
  assert.deepEqual(Object.keys(told), ['path', 'format', 'size_bytes', 'detail']);
  assert.deepEqual([told.path, told.format, told.size_bytes], [path, 'img', 1 << 20]);
  const detail = told.detail as Record<string, unknown>;
  assert.equal(detail.virtual_size_bytes, 1 << 20);
  assert.match(String(detail.sha256), /^[0-9a-f]{64}$/);
  const table = detail.partition_table as { scheme: string; partitions: Record<string, unknown>[] };
  assert.equal(table.scheme, 'mbr');
  assert.equal(table.partitions[0]?.start_bytes, 64 * 512);
  const text = await bty(['image', 'info', path]);
  assert.match(text.stdout, /Format: +img\n/);
  assert.match(text.stdout, /NUMBER {2}START {2}SIZE .*\n-.*\n1 {7}32768 {2}64K /);
});

test('what is no image is told by inspecting it, and what is not there is a failure', async (context) => {
  const path = await directory(context);
  const tarball = join(path, 'backup.tar.gz');
  await writeFile(tarball, Buffer.from('1f8b080000000000000303000000000000000000', 'hex'));
  const ended = await bty(['inspect', 'image', tarball, '--json']);
  assert.equal(ended.code, 0);
  const { image } = envelope(ended, 'inspect-image') as { image: Record<string, unknown> };
  assert.equal(image.format, null);
  assert.match(String(image.detail_error), /extract/i);
  const folder = await bty(['inspect', 'image', path, '--json']);
  assert.deepEqual([folder.code, folder.stdout], [2, '']);
});

test('a reader that goes away does not trouble the command', async () => {
  const { child, ended } = start(['--help']);
  child.stdout?.destroy();
  const { code, stderr } = await ended;
  assert.deepEqual([code, stderr], [0, '']);
});

test('a standard output that is full fails the command', {
  skip: existsSync('/dev/full') ? false : 'needs /dev/full',
}, async () => {
  const full = openSync('/dev/full', 'w');
  try {
    const ended = await bty(['--help'], { stdout: full });
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /^bty: Standard output cannot be written: .*ENOSPC/);
  } finally {
    closeSync(full);
  }
});
