/** Images over real HTTP: listing, digests, deleting and renaming. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { appendFile, mkdir, readdir, rename, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { getMachine, putMachine } from '../machines/testing.ts';
import { noise, sha256, until } from '../testing/files.ts';
import { bytesOf, kinds, listed, put, rootOf, value } from '../testing/images.ts';
import { startTestAppliance } from '../testing.ts';

test('an uploaded image is listed with its digest and served by name, by digest and with any tail', async (context) => {
  const appliance = await startTestAppliance(context);
  const bytes = noise(3_000_000);
  const digest = sha256(bytes);
  const name = 'z\u00fcrich 1.img';
  const stored = await value(put(appliance, `/images/${encodeURIComponent(name)}`, bytes));
  assert.deepEqual(stored, { name, size_bytes: bytes.length, path: join(rootOf(appliance), name) });
  assert.deepEqual(await listed(appliance), [
    {
      name,
      format: 'img',
      size_bytes: bytes.length,
      url: `${appliance.url}/images/${digest}/${encodeURIComponent(name)}`,
      ref: digest.slice(0, 12),
      cached: true,
      sha256: digest,
      virtual_size_bytes: bytes.length,
    },
  ]);
  for (const path of [encodeURIComponent(name), digest, `${digest}/some/tail.img`, digest.toUpperCase()]) {
    assert.equal(sha256(await bytesOf(appliance, `/images/${path}`)), digest, path);
  }
  const head = await appliance.ask(`/images/${digest}/x.img`, { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get('content-length'), String(bytes.length));
  assert.equal(head.headers.get('etag'), `"${digest}"`);
  assert.equal(head.headers.get('content-type'), 'application/octet-stream');
  const part = await appliance.ask(`/images/${digest}`, { headers: { range: 'bytes=-5' } });
  assert.equal(part.status, 206);
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(-5));
  const sidecar = readFileSync(join(rootOf(appliance), `${name}.sha256`), 'utf8');
  assert.equal(sidecar, `${digest}  ${name}\n`);
  const seen = kinds(appliance).filter((kind) => kind.startsWith('image.'));
  assert.deepEqual(seen, ['image.uploaded', 'image.hashed']);
});

test('an image that is overwritten never answers to its old digest again', async (context) => {
  const appliance = await startTestAppliance(context);
  const [old, fresh] = [noise(500_000, 1), noise(700_000, 2)];
  await value(put(appliance, '/images/s.img', old));
  await value(put(appliance, '/images/s.img', fresh));
  assert.deepEqual(
    (await listed(appliance)).map((row) => [row.size_bytes, row.sha256]),
    [[fresh.length, sha256(fresh)]],
  );
  assert.equal((await appliance.ask(`/images/${sha256(old)}`)).status, 404);
  // The same by other doors than HTTP: in place, by replacing, and with the times put back.
  const path = join(rootOf(appliance), 's.img');
  await appendFile(path, 'x');
  assert.equal((await appliance.ask(`/images/${sha256(fresh)}`)).status, 404);
  const longer = Buffer.concat([fresh, Buffer.from('x')]);
  await until('the new digest is known', async () =>
    (await listed(appliance)).some((row) => row.sha256 === sha256(longer)),
  );
  const other = join(rootOf(appliance), 'other');
  await writeFile(other, old);
  await utimes(other, new Date(0), new Date(0));
  await rename(other, path);
  assert.equal((await appliance.ask(`/images/${sha256(longer)}`)).status, 404);
  await until('the replaced file is read', async () =>
    (await listed(appliance)).some((row) => row.sha256 === sha256(old)),
  );
  const sidecar = await until('the sidecar follows', () => {
    const text = readFileSync(`${path}.sha256`, 'utf8');
    return text.startsWith(sha256(old)) ? text : false;
  });
  assert.equal(sidecar, `${sha256(old)}  s.img\n`);
});

test('files that are dropped into the directory are found; a sidecar that says otherwise is told', async (context) => {
  const appliance = await startTestAppliance(context);
  const root = rootOf(appliance);
  await mkdir(root, { recursive: true });
  const bytes = noise(100_000);
  await writeFile(join(root, 'b.img'), bytes);
  await writeFile(join(root, 'notes.txt'), 'no image');
  await writeFile(join(root, 'a.qcow2'), 'no qcow2 at all');
  await symlink('/etc/passwd', join(root, 'link.img'));
  await writeFile(join(root, 'c.img'), 'abc');
  const late = new Date(Date.now() + 60_000);
  await writeFile(join(root, 'c.img.sha256'), `${'ab'.repeat(32)}  c.img\n`);
  await utimes(join(root, 'c.img.sha256'), late, late);
  const rows = await until('all three are read', async () => {
    const found = await listed(appliance);
    return found.length === 3 ? found : false;
  });
  assert.deepEqual(
    rows.map((row) => [row.name, row.format]),
    [
      ['a.qcow2', 'qcow2'],
      ['b.img', 'img'],
      ['c.img', 'img'],
    ],
  );
  const { images } = (await value(appliance.askAdmin('/catalog/images'))) as {
    images: { names: string[]; problem: string | null; sha256: string }[];
  };
  assert.match(images[0]?.problem ?? '', /name says qcow2/);
  assert.equal(images[1]?.problem, null);
  assert.match(images[2]?.problem ?? '', /c\.img\.sha256 says that its SHA-256 is abab/);
  assert.equal(images[2]?.sha256, sha256('abc'));
  assert.equal((await appliance.ask('/images/link.img')).status, 404);
});

test('a gz is unpacked in the background, which tells the size of its disk or its damage', async (context) => {
  const appliance = await startTestAppliance(context);
  const packed = Buffer.concat([gzipSync(noise(700_000)), gzipSync(noise(300_000))]);
  await value(put(appliance, '/images/a.img.gz', packed));
  await value(put(appliance, '/images/b.img.gz', packed.subarray(0, -1000)));
  const images = await until('both are looked at', async () => {
    const all = (await value(appliance.askAdmin('/catalog/images'))) as { images: Record<string, unknown>[] };
    return all.images.every(({ checked, problem }) => checked || problem !== null) ? all.images : false;
  });
  assert.deepEqual(
    [images[0]?.virtual_size_bytes, images[0]?.checked, images[0]?.problem],
    [1_000_000, true, null],
  );
  assert.deepEqual([images[1]?.virtual_size_bytes, images[1]?.checked], [null, false]);
  assert.match(String(images[1]?.problem), /gz stream is damaged: unexpected end of file/);
  assert.equal(appliance.services.images.find(sha256(packed))?.virtualBytes, 1_000_000);
});

test('images are renamed and deleted, with their sidecars and never over another one', async (context) => {
  const appliance = await startTestAppliance(context);
  const bytes = noise(50_000);
  await value(put(appliance, '/images/a.img', bytes));
  await value(put(appliance, '/images/b.img', 'b'));
  const renamed = (name: string, to: string) =>
    appliance.askAdmin(`/images/${name}/rename`, { method: 'POST', body: JSON.stringify({ name: to }) });
  assert.equal((await renamed('a.img', 'b.img')).status, 409);
  assert.equal((await renamed('absent.img', 'c.img')).status, 404);
  assert.equal((await renamed('a.img', '../c.img')).status, 400);
  assert.equal((await renamed('a.img', '')).status, 422);
  const answer = (await value(renamed('a.img', 'c.img'))) as { name: string; size_bytes: number };
  assert.deepEqual([answer.name, answer.size_bytes], ['c.img', bytes.length]);
  assert.deepEqual(
    (await listed(appliance)).map((row) => [row.name, row.sha256]),
    [
      ['b.img', sha256('b')],
      ['c.img', sha256(bytes)],
    ],
  );
  assert.equal((await appliance.askAdmin('/images/a.img', { method: 'DELETE' })).status, 404);
  assert.equal((await appliance.ask('/images/c.img', { method: 'DELETE' })).status, 401);
  assert.equal((await appliance.askAdmin('/images/c.img', { method: 'DELETE' })).status, 204);
  assert.equal((await appliance.ask(`/images/${sha256(bytes)}`)).status, 404);
  assert.deepEqual((await readdir(rootOf(appliance))).toSorted(), ['b.img', 'b.img.sha256']);
  const seen = kinds(appliance).filter((kind) => /renamed|deleted/.test(kind));
  assert.deepEqual(seen, ['image.renamed', 'image.deleted']);
});

test('digests are computed on request, told as jobs, and unknown names are told', async (context) => {
  const appliance = await startTestAppliance(context);
  const bytes = noise(400_000);
  await mkdir(rootOf(appliance), { recursive: true });
  await writeFile(join(rootOf(appliance), 'plain'), bytes);
  const ask = (name: unknown) =>
    appliance.askAdmin('/catalog/hashes', { method: 'POST', body: JSON.stringify({ name }) });
  const path = join(rootOf(appliance), 'absent.img');
  assert.deepEqual(
    ((await value(ask('absent.img'), 404)) as { detail: string }).detail,
    `no image file at ${path}`,
  );
  for (const name of ['.', '..', '', 5])
    assert.ok([404, 422].includes((await ask(name)).status), String(name));
  await value(ask('plain'), 202);
  const done = await until('it is computed', async () => {
    const { hashes } = (await value(appliance.askAdmin('/catalog/hashes'))) as {
      hashes: Record<string, unknown>[];
    };
    return hashes.find(({ name, status }) => name === 'plain' && status === 'completed');
  });
  assert.equal(done.sha256, sha256(bytes));
  assert.equal(done.bytes_hashed, bytes.length);
  assert.equal(done.bytes_total, bytes.length);
  assert.ok(Number(done.started_at) > 1.6e9 && Number(done.finished_at) >= Number(done.started_at));
  assert.equal(((await value(ask('plain'), 202)) as { status: string }).status, 'completed');
  const cancelled = await appliance.askAdmin('/catalog/hashes/plain', { method: 'DELETE' });
  assert.equal(((await cancelled.json()) as { status: string }).status, 'completed');
  const unknown = await appliance.askAdmin("/catalog/hashes/it's", { method: 'DELETE' });
  assert.equal(unknown.status, 404);
  assert.equal(((await unknown.json()) as { detail: string }).detail, `no active hash named "it's"`);
});

test('a digest means the bytes that have it, whatever a file is named', async (context) => {
  const appliance = await startTestAppliance(context);
  const [good, bad] = [noise(100_000, 1), noise(100_000, 2)];
  const digest = sha256(good);
  for (const name of [digest, digest.toUpperCase()]) {
    assert.equal((await put(appliance, `/images/${name}`, bad)).status, 400);
  }
  await value(put(appliance, '/images/bad.img', bad));
  const renamed = await appliance.askAdmin('/images/bad.img/rename', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: digest }),
  });
  assert.equal(renamed.status, 400);
  // Copied there by other means.
  await writeFile(join(rootOf(appliance), digest), bad);
  assert.equal((await appliance.ask(`/images/${digest}`)).status, 404);
  await value(put(appliance, '/images/good.img', good));
  assert.equal(sha256(await bytesOf(appliance, `/images/${digest}`)), digest);
});

test('asking for the digest of what lies elsewhere tells no path of this machine', async (context) => {
  const appliance = await startTestAppliance(context);
  const response = await appliance.askAdmin('/catalog/hashes', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: '../state.db' }),
  });
  assert.equal(response.status, 404);
  assert.equal((await response.text()).includes(appliance.stateDir), false);
});

test('an image that a machine is bound to is deleted only by who insists', async (context) => {
  const appliance = await startTestAppliance(context);
  const bytes = noise(10_000);
  await value(put(appliance, '/images/a.img', bytes));
  const macs = Array.from({ length: 12 }, (_, index) => `02:00:00:00:00:${String(index).padStart(2, '0')}`);
  for (const mac of macs) await putMachine(appliance, mac, { image_sha256: sha256(bytes) });
  const remove = (query = '') => appliance.askAdmin(`/images/a.img${query}`, { method: 'DELETE' });
  for (const query of ['', '?force=0']) {
    const refused = await remove(query);
    assert.equal(refused.status, 409);
    const { detail } = (await refused.json()) as { detail: string };
    assert.ok(detail.includes(macs[0] ?? '') && detail.endsWith('and 2 more'), detail);
  }
  assert.equal((await appliance.ask('/images/a.img')).status, 200);
  assert.equal((await remove('?force=2')).status, 422);
  assert.equal((await remove('?force=1')).status, 204);
  assert.equal((await appliance.ask('/images/a.img')).status, 404);
  await value(put(appliance, '/images/b.img', noise(5000)));
  assert.equal((await appliance.askAdmin('/images/b.img', { method: 'DELETE' })).status, 204);
});

test('who replaces the image of a machine is not held up, and the event says whose bytes are gone', async (context) => {
  const appliance = await startTestAppliance(context);
  const [old, fresh] = [noise(10_000, 1), noise(10_000, 2)];
  await value(put(appliance, '/images/a.img', old));
  await putMachine(appliance, '02:00:00:00:00:01', { image_sha256: sha256(old) });
  await value(put(appliance, '/images/a.img', old));
  await value(put(appliance, '/images/a.img', fresh));
  const uploads = appliance.services.events
    .list({ limit: 20 })
    .filter(({ kind }) => kind === 'image.uploaded');
  const before = uploads.map(({ details }) => details?.before).reverse();
  assert.deepEqual(before, [
    null,
    { size_bytes: old.length, sha256: sha256(old), machines: 0 },
    { size_bytes: old.length, sha256: sha256(old), machines: 1 },
  ]);
  assert.match(uploads[0]?.summary ?? '', /1 machine is bound to the bytes that it had before/);
  const { image_sha256 } = await getMachine(appliance, '02:00:00:00:00:01');
  assert.equal(image_sha256, sha256(old), 'a machine keeps what it was given');
});
