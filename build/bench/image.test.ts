import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { describeImage, Images, keyOf, toolsFor } from './image.ts';
import { missing, needs } from './tools.ts';

const lacking = missing([...toolsFor('raw'), ...toolsFor('zst')]);
const skip = lacking.length > 0 && needs(lacking);

test('partitions of an image lie within it, with room for both partition tables', () => {
  for (const mebibytes of [256, 512, 4096, 100_000]) {
    const { espMebibytes, rootMebibytes, fileBytes } = describeImage(mebibytes);
    assert.equal(1 + espMebibytes + rootMebibytes + 1, mebibytes);
    assert.ok(fileBytes < rootMebibytes * 2 ** 20 * 0.9);
  }
  assert.equal(describeImage(4096).espMebibytes, 256);
});

test('another description is another image', () => {
  const description = describeImage(4096);
  assert.equal(keyOf(description), keyOf(describeImage(4096)));
  assert.notEqual(keyOf(description), keyOf({ ...description, version: 2 }));
});

test('an image is made half used, with both partitions, and found again', { skip }, async (context) => {
  const cache = mkdtempSync(join(tmpdir(), 'bty-bench-image-'));
  context.after(() => rmSync(cache, { recursive: true }));
  const said: string[] = [];
  const images = new Images(cache, cache, 32, (text) => said.push(text), new AbortController().signal);
  await images.make('zst');
  assert.deepEqual(readdirSync(cache), [basename(images.folder)]);
  assert.deepEqual(readdirSync(images.folder).sort(), ['disk.img', 'disk.img.zst']);
  const raw = images.path('raw');
  const { size, blocks } = statSync(raw);
  assert.equal(size, 32 << 20);
  assert.ok(blocks * 512 > 15 << 20 && blocks * 512 < 24 << 20, `${blocks * 512} bytes in use`);
  const table = execFileSync('sfdisk', ['--dump', raw], { encoding: 'utf8' });
  assert.match(table, /start=\s+2048, size=\s+8192, type=C12A7328/);
  assert.match(table, /start=\s+10240, size=\s+53248, type=0FC63DAF/);
  execFileSync('e2fsck', ['-fn', `${raw}?offset=${5 << 20}`], { stdio: 'ignore' });
  assert.equal(execFileSync('zstd', ['-dc', images.path('zst')], { maxBuffer: 64 << 20 }).length, 32 << 20);

  utimesSync(raw, 1, 1);
  said.length = 0;
  await images.make('zst');
  assert.deepEqual(said, []);
  assert.equal(statSync(raw).mtimeMs, 1000);
});
