import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { bundlePages } from './bundle.ts';
import { firstLoadBudget, weigh } from './weigh.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bty-pages-'));
  await bundlePages(folder);
});
after(() => rm(folder, { recursive: true, force: true }));

test('the first load of the pages stays in its budget', async () => {
  const { first, all } = await weigh(folder);
  assert.ok(first < firstLoadBudget, `${first} bytes, and the budget is ${firstLoadBudget}`);
  // What is weighed must be what a browser loads: the program itself is far larger than this.
  assert.ok(first > 100_000 && all > first, `${first} of ${all}`);
});

test('the pages need nothing from elsewhere, and no script stands in their HTML', async () => {
  const html = await readFile(join(folder, 'index.html'), 'utf8');
  assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)/);
  for (const [, address = ''] of html.matchAll(/(?:src|href)="([^"]+)"/g)) assert.match(address, /^\//);
  for (const name of await readdir(folder, { recursive: true })) {
    if (!/\.(js|css)$/.test(name)) continue;
    const text = await readFile(join(folder, name), 'utf8');
    // Names of XML, an example in a form, and pages that messages of libraries point to: nothing is loaded from them.
    const known =
      /^https?:\/\/(www\.w3\.org|example\.(org|com)|react\.dev|reactjs\.org|locize\.com|react\.i18next\.com|www\.i18next\.com)\b/;
    const foreign = [...text.matchAll(/https?:\/\/[a-z0-9][a-z0-9.-]+\.[a-z]{2,}/gi)].map(([found]) => found);
    assert.deepEqual(
      foreign.filter((found) => !known.test(found)),
      [],
      name,
    );
  }
});

test('what is sent compressed is the file, and every package that is built in has its licence told', async () => {
  const names = await readdir(folder, { recursive: true });
  const packed = names.filter((name) => name.endsWith('.gz'));
  assert.ok(packed.length > 5);
  for (const name of packed) {
    const plain = await readFile(join(folder, name.slice(0, -3)));
    assert.ok(plain.equals(gunzipSync(await readFile(join(folder, name)))), name);
  }
  const licences = JSON.parse(await readFile(join(folder, 'licences.json'), 'utf8')) as {
    name: string;
    licence: string;
  }[];
  for (const wanted of ['react', 'wouter', 'uqr', 'i18next', 'fastify', 'koffi'])
    assert.ok(
      licences.some(({ name, licence }) => name === wanted && licence !== 'unknown'),
      wanted,
    );
});
