import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { allOperations } from '../../shared/contract/operations.ts';
import { startTestAppliance } from '../testing.ts';
import { httpDocument } from './document.ts';
import { routes } from './routes/index.ts';
import { makeApplication } from './server.ts';

test('docs/http-api.md is up to date (make it anew with: node build/document.ts)', () => {
  const written = readFileSync(new URL('../../docs/http-api.md', import.meta.url), 'utf8');
  assert.ok(written === httpDocument(), 'docs/http-api.md differs from what build/document.ts makes');
});

test('what is documented is served, and what is served is documented', async (context) => {
  const { services } = await startTestAppliance(context);
  const { app, operations } = await makeApplication(services, routes);
  await app.close();
  const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name).toSorted();
  assert.deepEqual(names(operations), names(allOperations));
});

/** The 48 pairs of method and path that the predecessor had (bty-contract 3.2), `{}` for any segment. */
const predecessor = `
GET /; GET /healthz; GET /version; GET /static/{}; GET /pxe-bootstrap.ipxe; GET /pxe/{}; POST /pxe/{}/done;
GET /boot/{}; GET /images; GET /images/{}; GET /images/{}/{}; GET /machines; GET /machines/{}; PUT /machines/{};
DELETE /machines/{}; PUT /images/{}; PUT /boot/{}; GET /catalog/entries; POST /catalog/entries;
DELETE /catalog/entries; GET /catalog/downloads; POST /catalog/downloads; DELETE /catalog/downloads/{};
GET /catalog/hashes; POST /catalog/hashes; DELETE /catalog/hashes/{}; GET /boot/releases; POST /boot/releases;
DELETE /boot/releases/{}; GET /tasks; DELETE /tasks/{}; GET /events; GET /events/machines; GET /ui; GET /ui/login;
POST /ui/login; POST /ui/logout; GET /ui/{}; POST /ui/machines/{}; POST /ui/machines/{}/delete;
POST /ui/catalog/entries; POST /ui/settings/pxe-activate; POST /ui/boot/fetch-release`;

test('every pair of method and path of the predecessor is there', () => {
  const served = new Set(
    allOperations.map(({ method, path }) => `${method} ${path.replaceAll(/\{[a-z_]+(\.\.\.)?\}/g, '{}')}`),
  );
  const wanted = predecessor.split(';').map((pair) => pair.trim());
  assert.deepEqual(
    wanted.filter((pair) => !served.has(pair)),
    [],
  );
});
