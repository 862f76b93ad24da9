/** Images that are elsewhere, over real HTTP: the catalog, downloads, streaming while they come, releases. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { noise, sha256, until } from '../testing/files.ts';
import { startSource } from '../testing/source.ts';
import { startTestAppliance, type TestAppliance } from '../testing.ts';

type Json = Record<string, unknown>;

async function value(response: Promise<Response>, status = 200): Promise<Json> {
  const answer = await response;
  const text = await answer.text();
  assert.equal(answer.status, status, text);
  return text === '' ? {} : (JSON.parse(text) as Json);
}

const post = (appliance: TestAppliance, path: string, body: unknown) =>
  appliance.askAdmin(path, { method: 'POST', body: JSON.stringify(body) });
const remove = (appliance: TestAppliance, path: string) => appliance.askAdmin(path, { method: 'DELETE' });

async function downloads(appliance: TestAppliance): Promise<Json[]> {
  const { downloads: list } = await value(appliance.askAdmin('/catalog/downloads'));
  return list as Json[];
}

const settled = (appliance: TestAppliance, name: string) =>
  until(`${name} is settled`, async () =>
    (await downloads(appliance)).find(
      (one) => one.name === name && !['queued', 'running'].includes(String(one.status)),
    ),
  );

const entry = (name: string, src: string, digest: string, more = '') =>
  `[[images]]\nname = "${name}"\nsrc = "${src}"\nsha256 = "${digest}"\n${more}\n`;
const writeManifest = (appliance: TestAppliance, ...entries: string[]) =>
  writeFile(join(appliance.stateDir, 'catalog.toml'), `version = 1\n${entries.join('')}`);
const kinds = (appliance: TestAppliance): string[] =>
  appliance.services.events.list({ limit: 500 }).map(({ kind }) => kind);
const cacheOf = (appliance: TestAppliance) => join(appliance.stateDir, 'cache');

test('entries are added by address, with their digest where a list of digests names it', async (context) => {
  const appliance = await startTestAppliance(context);
  const source = await startSource(context);
  const bytes = noise(100_000);
  source.files.set('/a b.img.gz', { bytes });
  source.files.set('/SHA256SUMS', {
    bytes: Buffer.from(`${'0'.repeat(64)}  other.img\n${sha256(bytes)} *./a b.img.gz\n`),
  });
  source.files.set('/bare', { bytes: Buffer.from(`${sha256(bytes)}\n`) });
  const add = (image_url: unknown, sha_url?: unknown) =>
    post(appliance, '/catalog/entries', { image_url, sha_url });
  const image = `${source.url}/a%20b.img.gz`;
  const row = await value(add(image, `${source.url}/SHA256SUMS`), 201);
  const { added_at, ...rest } = row;
  assert.deepEqual(rest, {
    src: image,
    sha256: sha256(bytes),
    name: 'a b.img.gz',
    sha_url: `${source.url}/SHA256SUMS`,
    format: 'img.gz',
    size_bytes: bytes.length,
  });
  assert.match(String(added_at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/);
  assert.equal((await add(image)).status, 409);
  const plain = await value(add(`${source.url}/x/late.qcow2`), 201);
  assert.deepEqual([plain.sha256, plain.size_bytes, plain.format], [null, null, 'qcow2']);
  assert.equal((await value(add(`${source.url}/one.img`, `${source.url}/bare`), 201)).sha256, sha256(bytes));
  for (const list of ['/SHA256SUMS', '/absent']) {
    const refused = await value(add(`${source.url}/unlisted.img`, source.url + list), 400);
    assert.match(String(refused.detail), /^could not resolve sha256: /);
  }
  assert.equal((await add(`${source.url}/`)).status, 422);
  for (const bad of ['ftp://x/y', 'nonsense', '', null, 5, `http://${'x'.repeat(5000)}/y`]) {
    assert.equal((await add(bad)).status, 422, String(bad));
  }
  const rows = (await value(appliance.askAdmin('/catalog/entries'))) as unknown as Json[];
  assert.deepEqual(
    rows.map(({ name, description }) => [name, description]),
    [
      ['a b.img.gz', null],
      ['late.qcow2', null],
      ['one.img', null],
    ],
  );
  const listed = (await value(appliance.ask('/images'))) as unknown as Json[];
  assert.deepEqual(
    listed.map(({ name, cached, ref, url }) => [name, cached, ref, url]),
    [
      ['a b.img.gz', false, sha256(bytes).slice(0, 12), image],
      ['late.qcow2', false, null, `${source.url}/x/late.qcow2`],
    ],
  );
  const path = `/catalog/entries?src=${encodeURIComponent(image)}`;
  assert.equal((await remove(appliance, path)).status, 204);
  const gone = await value(remove(appliance, path), 404);
  assert.equal(gone.detail, `no catalog entry with src='${image}'`);
  assert.equal((await remove(appliance, '/catalog/entries')).status, 422);
  const seen = kinds(appliance).filter((kind) => kind.startsWith('catalog.'));
  assert.equal(seen.filter((kind) => kind === 'catalog.entry.added').length, 3);
  assert.equal(seen.filter((kind) => kind === 'catalog.entry.add_failed').length, 2);
  assert.equal(seen[0], 'catalog.entry.deleted');
});

test('an image of the manifest is fetched once, verified, and served from here', async (context) => {
  const appliance = await startTestAppliance(context);
  const source = await startSource(context);
  const bytes = noise(2_000_000);
  source.files.set('/disk.img', { bytes });
  await writeManifest(appliance, entry('disk', `${source.url}/disk.img`, sha256(bytes), `format = "img"`));
  assert.equal((await post(appliance, '/catalog/downloads', { name: 'absent' })).status, 404);
  assert.equal((await post(appliance, '/catalog/downloads', {})).status, 422);
  const state = await value(post(appliance, '/catalog/downloads', { name: 'disk' }), 202);
  assert.ok(['queued', 'running', 'completed'].includes(String(state.status)));
  const done = await settled(appliance, 'disk');
  assert.deepEqual(
    [done.status, done.bytes_downloaded, done.bytes_total, done.sha256, done.src, done.error],
    ['completed', bytes.length, bytes.length, sha256(bytes), `${source.url}/disk.img`, null],
  );
  const again = await value(post(appliance, '/catalog/downloads', { name: 'disk' }), 202);
  assert.equal(again.status, 'completed');
  const [row] = (await value(appliance.ask('/images'))) as unknown as Json[];
  assert.deepEqual(
    [row?.name, row?.cached, row?.url],
    ['disk', true, `${appliance.url}/images/${sha256(bytes)}/disk`],
  );
  const body = await (await appliance.ask(`/images/${sha256(bytes)}`)).arrayBuffer();
  assert.equal(sha256(new Uint8Array(body)), sha256(bytes));
  assert.equal(source.asked.filter(({ method }) => method === 'GET').length, 1);
  assert.deepEqual(await readdir(cacheOf(appliance)), [sha256(bytes)]);
  const list = await value(appliance.askAdmin('/catalog/downloads'));
  assert.deepEqual(
    [list.manifest, list.cache_dir, list.max_parallel],
    [join(appliance.stateDir, 'catalog.toml'), cacheOf(appliance), 2],
  );
  assert.equal((await value(remove(appliance, '/catalog/downloads/disk'))).status, 'completed');
  assert.equal((await remove(appliance, '/catalog/downloads/absent')).status, 404);
  assert.ok(kinds(appliance).includes('image.fetched'));
  // A file in the cache that was tampered with is not what its name says any more.
  await writeFile(join(cacheOf(appliance), sha256(bytes)), noise(2_000_000, 7));
  const fetched = await (await appliance.ask(`/images/${sha256(bytes)}`)).arrayBuffer();
  assert.equal(sha256(new Uint8Array(fetched)), sha256(bytes));
});

test('eight machines that ask for an image that is not here share one download, while it comes', async (context) => {
  const appliance = await startTestAppliance(context);
  const source = await startSource(context);
  const bytes = noise(6_000_000);
  const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
  source.files.set('/disk.img', { bytes, gate });
  await writeManifest(appliance, entry('disk.img', `${source.url}/disk.img`, sha256(bytes)));
  const clients = Array.from({ length: 8 }, () =>
    follow(`${appliance.url}/images/${sha256(bytes)}/disk.img`),
  );
  await until('all have a part before all of it is here', () =>
    clients.every(({ bytes }) => bytes() > 1_000_000),
  );
  assert.ok(clients.every((client) => client.bytes() <= 3_000_000));
  const ranged = appliance.ask(`/images/${sha256(bytes)}`, { headers: { range: 'bytes=5000000-5000009' } });
  openGate();
  for (const client of clients) assert.equal(await client.digest, sha256(bytes));
  const part = await ranged;
  assert.equal(part.status, 206);
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(5_000_000, 5_000_010));
  assert.equal(source.asked.filter(({ method }) => method === 'GET').length, 1);
});

function follow(url: string) {
  let count = 0;
  const digest = new Promise<string>((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      const hash = createHash('sha256');
      response.on('data', (piece: Buffer) => {
        count += piece.length;
        hash.update(piece);
      });
      response.on('error', reject);
      response.on('end', () => resolve(hash.digest('hex')));
    }).on('error', reject);
  });
  digest.catch(() => {});
  return { bytes: () => count, digest };
}

test('a wrong image is never delivered whole, never kept, and told', async (context) => {
  const appliance = await startTestAppliance(context);
  const source = await startSource(context);
  const promised = noise(1_000_000, 1);
  source.files.set('/disk.img', { bytes: noise(1_000_000, 2) });
  await writeManifest(appliance, entry('disk.img', `${source.url}/disk.img`, sha256(promised)));
  const client = follow(`${appliance.url}/images/${sha256(promised)}`);
  await assert.rejects(client.digest);
  assert.ok(client.bytes() <= promised.length - 64 * 1024);
  const state = await settled(appliance, 'disk.img');
  assert.equal(state.status, 'failed');
  assert.match(String(state.error), /is not the expected image: its SHA-256 is/);
  assert.deepEqual(await readdir(cacheOf(appliance)), []);
  assert.ok(kinds(appliance).includes('image.fetch_failed'));
  // What nobody knows is not there; what cannot be had is told as such.
  assert.equal((await appliance.ask(`/images/${'0'.repeat(64)}`)).status, 404);
  source.files.set('/disk.img', { bytes: promised, status: 403 });
  const refused = await value(appliance.ask(`/images/${sha256(promised)}`), 502);
  assert.match(String(refused.detail), /not here yet and could not be fetched: .*status 403/);
  source.files.set('/disk.img', { bytes: promised });
  assert.equal(await follow(`${appliance.url}/images/${sha256(promised)}`).digest, sha256(promised));
});

test('a download goes on where the connection broke, and begins anew when the file changed', async (context) => {
  const appliance = await startTestAppliance(context);
  const source = await startSource(context);
  const bytes = noise(3_000_000);
  source.files.set('/a.img', { bytes, etag: '"1"', breaks: [1_000_000, 500_000] });
  source.files.set('/b.img', { bytes, breaks: [1_000_000], whole: true });
  source.files.set('/c.img', { bytes, chunked: true });
  await writeManifest(
    appliance,
    entry('a', `${source.url}/a.img`, sha256(bytes)),
    entry('b', `${source.url}/b.img`, sha256(bytes)),
    entry('c', `${source.url}/c.img`, sha256(bytes), `size_bytes = ${bytes.length}`),
    entry('d', `${source.url}/c.img`, 'ab'.repeat(32), 'size_bytes = 5'),
  );
  await value(post(appliance, '/catalog/downloads', { name: 'a' }), 202);
  assert.equal((await settled(appliance, 'a')).status, 'completed');
  const asked = source.asked.filter(({ path, method }) => path === '/a.img' && method === 'GET');
  // A broken connection may lose what was on its way.
  const starts = asked.map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0));
  const [one = 0, two = 0, three = 0] = starts;
  assert.ok(starts.length === 3 && one === 0 && two > 0 && two <= 1_000_000, starts.join());
  assert.ok(three > two && three <= two + 500_000, starts.join());
  assert.deepEqual(
    asked.map(({ ifRange }) => ifRange),
    [undefined, '"1"', '"1"'],
  );
  for (const name of ['b', 'c']) {
    await remove(appliance, `/images/${sha256(bytes)}`);
    await value(post(appliance, '/catalog/downloads', { name }), 202);
    assert.equal((await settled(appliance, name)).status, 'completed', name);
  }
  await value(post(appliance, '/catalog/downloads', { name: 'd' }), 202);
  assert.match(String((await settled(appliance, 'd')).error), /promised 5 bytes/);
});

test('a download is cancelled at once and leaves nothing behind', async (context) => {
  const appliance = await startTestAppliance(context, { config: { catalogMaxParallel: 1 } });
  const source = await startSource(context);
  const bytes = noise(2_000_000);
  source.files.set('/a.img', { bytes, gate: new Promise(() => {}) });
  await writeManifest(
    appliance,
    entry('a', `${source.url}/a.img`, sha256(bytes)),
    entry('b', `${source.url}/b.img`, 'cd'.repeat(32)),
  );
  await value(post(appliance, '/catalog/downloads', { name: 'a' }), 202);
  assert.equal((await value(post(appliance, '/catalog/downloads', { name: 'b' }), 202)).status, 'queued');
  await until(
    'half of it came',
    async () => Number((await downloads(appliance))[0]?.bytes_downloaded) >= 1_000_000,
  );
  assert.equal((await value(remove(appliance, '/catalog/downloads/b'))).status, 'cancelled');
  // The answer to one that does not end at once says that it runs.
  const state = await value(remove(appliance, '/catalog/downloads/a'));
  assert.equal(state.status, 'cancelled');
  assert.equal(state.error, null);
  await until('its bytes are gone', async () => (await readdir(cacheOf(appliance))).length === 0);
  source.files.set('/a.img', { bytes });
  await value(post(appliance, '/catalog/downloads', { name: 'a' }), 202);
  assert.equal((await settled(appliance, 'a')).status, 'completed');
});

test('a download survives a restart of the appliance and asks only for the rest', async (context) => {
  const first = await startTestAppliance(context);
  const source = await startSource(context);
  const bytes = noise(4_000_000);
  source.files.set('/a.img', { bytes, gate: new Promise(() => {}) });
  await writeManifest(first, entry('a.img', `${source.url}/a.img`, sha256(bytes)));
  await value(post(first, '/catalog/downloads', { name: 'a.img' }), 202);
  await until(
    'half of it came',
    async () => Number((await downloads(first))[0]?.bytes_downloaded) >= 2_000_000,
  );
  await first.close();
  source.files.set('/a.img', { bytes });
  const second = await startTestAppliance(context, { stateDir: first.stateDir });
  assert.equal(await follow(`${second.url}/images/${sha256(bytes)}`).digest, sha256(bytes));
  assert.equal((await settled(second, 'a.img')).status, 'completed');
  assert.deepEqual(
    source.asked.map(({ range }) => range),
    [undefined, 'bytes=2000000-'],
  );
});

test('an address without a digest is fetched by name, and learns its digest', async (context) => {
  const appliance = await startTestAppliance(context);
  const source = await startSource(context);
  const bytes = noise(300_000);
  source.files.set('/rolling.img', { bytes, chunked: true });
  await value(post(appliance, '/catalog/entries', { image_url: `${source.url}/rolling.img` }), 201);
  await value(post(appliance, '/catalog/downloads', { name: 'rolling.img' }), 202);
  assert.equal((await settled(appliance, 'rolling.img')).sha256, sha256(bytes));
  const [row] = (await value(appliance.ask('/images'))) as unknown as Json[];
  assert.deepEqual([row?.name, row?.sha256, row?.cached], ['rolling.img', sha256(bytes), true]);
});

test('a download whose length nobody told in time never takes more than the quota', async (context) => {
  const appliance = await startTestAppliance(context, { config: { imageQuotaBytes: 1_000_000 } });
  const source = await startSource(context);
  for (const [name, file] of [
    ['told.img', { bytes: noise(1_500_000, 1) }],
    ['untold.img', { bytes: noise(1_500_000, 2), chunked: true }],
  ] as const) {
    source.files.set(`/${name}`, file);
    // The catalog knows an address and nothing else.
    await writeManifest(appliance, entry(name, `${source.url}/${name}`, sha256(file.bytes)));
    await value(post(appliance, '/catalog/downloads', { name }), 202);
    const { status, error } = (await settled(appliance, name)) ?? {};
    assert.equal(status, 'failed', name);
    assert.match(String(error), /1000000|1\.0 MB|1 MB|quota/i, name);
    assert.deepEqual(await readdir(cacheOf(appliance)), [], name);
  }
});

test('the image of a machine is fetched as soon as the machine boots', async (context) => {
  const appliance = await startTestAppliance(context);
  const source = await startSource(context);
  const bytes = noise(400_000);
  source.files.set('/disk.img.gz', { bytes });
  await writeManifest(appliance, entry('disk.img.gz', `${source.url}/disk.img.gz`, sha256(bytes)));
  for (const name of ['vmlinuz', 'initrd']) {
    const stored = appliance.askAdmin(`/boot/bty-netboot-x86_64.${name}`, { method: 'PUT', body: 'x' });
    assert.equal((await stored).status, 200);
  }
  const machine = { image_sha256: sha256(bytes), boot_policy: 'flash' };
  const bound = { method: 'PUT', body: JSON.stringify(machine) };
  assert.equal((await appliance.askAdmin('/machines/aa:bb:cc:dd:ee:ff', bound)).status, 200);
  await value(appliance.askAdmin('/catalog/images'));
  const script = await (await appliance.ask('/pxe/aa:bb:cc:dd:ee:ff')).text();
  assert.match(script, new RegExp(`/images/${sha256(bytes)}/disk.img.gz`));
  assert.equal((await settled(appliance, 'disk.img.gz')).status, 'completed');
});

test('a manifest may name files of this machine, beside it or anywhere', async (context) => {
  const appliance = await startTestAppliance(context);
  const bytes = noise(2_500_000);
  await writeFile(join(appliance.stateDir, 'beside.img'), bytes);
  await writeManifest(
    appliance,
    entry('beside', 'beside.img', sha256(bytes)),
    entry('absent', '/nowhere/absent.img', 'ab'.repeat(32)),
    entry('odd', 'oras://host/x', 'cd'.repeat(32)),
  );
  assert.equal(await follow(`${appliance.url}/images/${sha256(bytes)}/x.img`).digest, sha256(bytes));
  const answer = await value(appliance.ask(`/images/${'ab'.repeat(32)}`), 502);
  assert.match(String(answer.detail), /no such file or directory/);
  assert.equal((await appliance.ask(`/images/${'cd'.repeat(32)}`)).status, 404);
});

test('a broken manifest is told and keeps the rest working', async (context) => {
  const appliance = await startTestAppliance(context);
  await writeFile(join(appliance.stateDir, 'catalog.toml'), 'version = 1\n[[images]]\nname = 5\n');
  const { images, manifest_problem } = await value(appliance.askAdmin('/catalog/images'));
  assert.deepEqual(images, []);
  assert.match(String(manifest_problem), /image 1: "name" must be/);
  assert.equal((await post(appliance, '/catalog/downloads', { name: 'x' })).status, 404);
});

/** Other parts of the appliance keep folders there. */
const filesIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { withFileTypes: true })).filter((one) => one.isFile()).map(({ name }) => name);

const released = (files: ReadonlyMap<string, Buffer>) =>
  Buffer.from([...files].map(([name, bytes]) => `${sha256(bytes)}  ${name}\n`).join(''));

async function releaseSettled(appliance: TestAppliance, tag: string): Promise<Json> {
  return until(`the release ${tag} is settled`, async () => {
    const { fetches } = await value(appliance.askAdmin('/boot/releases'));
    return (fetches as Json[]).find(
      (one) => one.tag === tag && !['queued', 'running'].includes(String(one.status)),
    );
  });
}

test('a release is fetched whole and verified, the files being those of its own manifest', async (context) => {
  const source = await startSource(context);
  const appliance = await startTestAppliance(context, { config: { bootReleaseRepo: `${source.url}/dist` } });
  const manifest = 'bty-netboot-x86_64.sha256';
  const files = new Map([
    ['bty-netboot-x86_64.vmlinuz', noise(300_000, 1)],
    ['bty-netboot-x86_64.initrd', noise(400_000, 2)],
  ]);
  const publish = (base: string, all: ReadonlyMap<string, Buffer>, list = released(all)) => {
    for (const [name, bytes] of all) source.files.set(`${base}/${name}`, { bytes });
    source.files.set(`${base}/${manifest}`, { bytes: list });
  };
  publish('/dist', files);
  const boot = join(appliance.stateDir, 'boot');
  const state = await value(post(appliance, '/boot/releases', {}), 202);
  assert.deepEqual([state.tag, state.base_url, state.artefact], ['latest', `${source.url}/dist/`, null]);
  const done = await releaseSettled(appliance, 'latest');
  assert.deepEqual([done.status, done.bytes_done, done.bytes_total], ['completed', 700_000, 700_000]);
  assert.deepEqual((await filesIn(boot)).toSorted(), [...files.keys(), manifest].toSorted());
  for (const [name, bytes] of files) assert.equal(sha256(await readFile(join(boot, name))), sha256(bytes));
  // "latest" moves on, and is fetched again.
  const newer = new Map([...files, ['bty-netboot-x86_64.squashfs', noise(100_000, 3)] as const]);
  newer.set('bty-netboot-x86_64.vmlinuz', noise(300_000, 4));
  publish('/dist', newer);
  await value(post(appliance, '/boot/releases', { tag: 'latest' }), 202);
  await until('the newer one is here', async () => (await filesIn(boot)).length === 4);
  await releaseSettled(appliance, 'latest');
  const kernel = await readFile(join(boot, 'bty-netboot-x86_64.vmlinuz'));
  assert.equal(sha256(kernel), sha256(noise(300_000, 4)));
  // A release that is damaged, or that names what it must not, changes nothing.
  publish('/dist/v2', files, released(new Map([...files, ['x', noise(5)] as const])));
  source.files.set('/dist/v2/x', { bytes: noise(6) });
  publish(
    '/dist/v3',
    files,
    Buffer.concat([released(files), Buffer.from(`${'a'.repeat(64)}  ../../evil\n`)]),
  );
  publish('/dist/v4', files, Buffer.from('<html>not found</html>'));
  for (const tag of ['v2', 'v3', 'v4', 'v5']) {
    await value(post(appliance, '/boot/releases', { tag }), 202);
    const failed = await releaseSettled(appliance, tag);
    assert.equal(failed.status, 'failed', tag);
    assert.ok(String(failed.error).length > 10);
  }
  assert.deepEqual((await filesIn(boot)).toSorted(), [...newer.keys(), manifest].toSorted());
  assert.equal(sha256(await readFile(join(boot, 'bty-netboot-x86_64.vmlinuz'))), sha256(kernel));
  for (const tag of ['../x', 'a/b', '', ' ']) {
    assert.equal((await post(appliance, '/boot/releases', { tag })).status, 422, tag);
  }
  assert.equal((await remove(appliance, '/boot/releases/latest')).status, 200);
  const unknown = await value(remove(appliance, '/boot/releases/never'), 404);
  assert.equal(unknown.detail, "no active release fetch for tag 'never'");
  assert.deepEqual([...new Set(kinds(appliance).filter((kind) => kind.startsWith('boot.')))].toSorted(), [
    'boot.release.fetch_failed',
    'boot.release.fetched',
  ]);
});

test('without a source of releases the advice says how to set one', async (context) => {
  const appliance = await startTestAppliance(context);
  const answer = await value(post(appliance, '/boot/releases', { tag: 'latest' }), 409);
  assert.match(String(answer.detail), /not known where releases/);
  assert.match(String(answer.advice), /BTY_BOOT_RELEASE_REPO/);
  assert.equal((await post(appliance, '/boot/releases', { source: 'file:///etc' })).status, 502);
});

test('a release that is being fetched is cancelled and leaves the boot directory as it was', async (context) => {
  const source = await startSource(context);
  const appliance = await startTestAppliance(context, { config: { bootReleaseRepo: source.url } });
  const bytes = noise(1_000_000);
  source.files.set('/kernel', { bytes, gate: new Promise(() => {}) });
  source.files.set('/bty-netboot-x86_64.sha256', { bytes: released(new Map([['kernel', bytes]])) });
  await mkdir(join(appliance.stateDir, 'boot'), { recursive: true });
  await writeFile(join(appliance.stateDir, 'boot', 'kernel'), 'old');
  await value(post(appliance, '/boot/releases', {}), 202);
  await until('half of it came', async () => {
    const { fetches } = await value(appliance.askAdmin('/boot/releases'));
    return Number((fetches as Json[])[0]?.bytes_done) >= 500_000;
  });
  assert.equal((await value(remove(appliance, '/boot/releases/latest'))).status, 'cancelled');
  assert.deepEqual(await filesIn(join(appliance.stateDir, 'boot')), ['kernel']);
  assert.equal(await readFile(join(appliance.stateDir, 'boot', 'kernel'), 'utf8'), 'old');
});
