import assert from 'node:assert/strict';
import { open, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { noise, sha256, temporaryDirectory } from '../testing/files.ts';
import { digestOf, FollowedDigest } from './digest.ts';

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

test('the digest of a file that is being written is that of its bytes, however many are written at once', async (context) => {
  const folder = await temporaryDirectory(context);
  const sizes = [0, 10, 4 << 20, (4 << 20) + 1, 21_000_001, 9_000_000, 8_000_000, 30_000_000];
  const found = await Promise.all(
    sizes.map(async (size, index) => {
      const bytes = noise(size, index);
      const file = await open(join(folder, `${index}`), 'wx+');
      const digest = new FollowedDigest(file.fd);
      // An upload lies in a file that has its whole length from the start on.
      await file.truncate(size);
      for (let from = 0; from < size; from += 65_536) {
        const piece = bytes.subarray(from, from + 65_536);
        await file.write(piece, 0, piece.length, from);
        digest.wrote(piece);
      }
      const result = await digest.digest();
      await digest.close();
      await file.close();
      return result === sha256(bytes);
    }),
  );
  assert.deepEqual(
    found,
    sizes.map(() => true),
  );
});

test('it goes on from what lies in the file already, and is cancelled in the middle of that', async (context) => {
  const path = join(await temporaryDirectory(context), 'image');
  for (const already of [1000, 9_000_000]) {
    const bytes = noise(already + 500_000, already);
    await writeFile(path, bytes.subarray(0, already));
    const file = await open(path, 'a+');
    const digest = new FollowedDigest(file.fd);
    await digest.begin(already, never);
    await file.write(bytes.subarray(already));
    digest.wrote(bytes.subarray(already));
    assert.equal(await digest.digest(never), sha256(bytes));
    await digest.close();
    await file.close();
  }
  await truncate(path, 2 ** 40);
  const file = await open(path);
  const cancel = new AbortController();
  const digest = new FollowedDigest(file.fd);
  await digest.begin(2 ** 40, cancel.signal);
  const reading = digest.digest(cancel.signal);
  cancel.abort(new Error('no more'));
  await assert.rejects(reading, /no more/);
  await digest.close();
  await file.close();
});

test('a file that becomes shorter while it is written has no digest', async (context) => {
  const file = await open(join(await temporaryDirectory(context), 'image'), 'wx+');
  const digest = new FollowedDigest(file.fd);
  digest.wrote(Buffer.alloc(6 << 20));
  await assert.rejects(digest.digest(), /became shorter/);
  await digest.close();
  await file.close();
});
