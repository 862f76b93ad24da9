import assert from 'node:assert/strict';
import { open, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { noise, sha256, temporaryDirectory } from '../testing/files.ts';
import { digestOf } from './digest.ts';

const never = new AbortController().signal;

test('the digest of a file is that of its bytes, and its progress grows to its size', async (context) => {
  const path = join(await temporaryDirectory(context), 'image');
  const bytes = noise(50_000_001, 4);
  await writeFile(path, bytes);
  const file = await open(path);
  const told: number[] = [];
  const found = await digestOf(file.fd, bytes.length, never, (done) => told.push(done));
  await file.close();
  assert.deepEqual(found, { bytes: bytes.length, sha256: sha256(bytes) });
  assert.ok(told.length > 1 && told.every((done, index) => done > (told[index - 1] ?? 0)));
});

test('a file that grows is read one piece beyond what it had, and one that shrinks to its end', async (context) => {
  const path = join(await temporaryDirectory(context), 'image');
  await writeFile(path, noise(8 << 20, 4));
  const file = await open(path);
  const grown = await digestOf(file.fd, 5 << 20, never, () => {});
  assert.ok(grown.bytes > 5 << 20 && grown.bytes <= 6 << 20, `${grown.bytes}`);
  assert.equal((await digestOf(file.fd, 20 << 20, never, () => {})).bytes, 8 << 20);
  await file.close();
});

test('it is cancelled in the middle, and the descriptor is free then', async (context) => {
  const path = join(await temporaryDirectory(context), 'image');
  await writeFile(path, '');
  await truncate(path, 2 ** 40);
  const file = await open(path);
  const cancel = new AbortController();
  const reading = digestOf(file.fd, 2 ** 40, cancel.signal, () => cancel.abort(new Error('no more')));
  await assert.rejects(reading, /no more/);
  await file.close();
});

test('a descriptor that cannot be read is a failure with its cause', async (context) => {
  const folder = await open(await temporaryDirectory(context));
  await assert.rejects(
    digestOf(folder.fd, 10 << 20, never, () => {}),
    /EISDIR/,
  );
  await folder.close();
});
