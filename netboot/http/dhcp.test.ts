/** Leases and reservations over HTTP. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DhcpBook, DhcpLease, DhcpReservation } from '../../shared/contract/dhcp.ts';
import { startTestAppliance, type TestAppliance } from '../testing.ts';

const now = Date.now();

function leaseAt(place: number): DhcpLease {
  const tail = [place >> 8, place & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
  return {
    address: `10.77.${place >> 8}.${place & 255}`,
    state: place % 7 === 0 ? 'released' : 'bound',
    key: `1/02000000${tail.replace(':', '')}`,
    mac: `02:00:00:00:${tail}`,
    uuid: null,
    hostName: null,
    vendorClass: null,
    interface: 'lab0',
    since: now,
    expires: now + 3_600_000,
  };
}

/** All pages that follow one another from `path` on. */
async function pagesOf<Row>(appliance: TestAppliance, path: string) {
  const pages: Row[] = [];
  const totals = new Set<string | null>();
  for (let next: string | null = path; next !== null; ) {
    const answer: Response = await appliance.askAdmin(next);
    assert.equal(answer.status, 200, next);
    totals.add(answer.headers.get('x-total-count'));
    const link: string | undefined = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1];
    pages.push((await answer.json()) as Row);
    assert.ok(pages.length < 100, 'the pages have no end');
    next = link === undefined ? null : link.slice(appliance.url.length);
  }
  return { pages, totals: [...totals] };
}

async function imported(appliance: TestAppliance, book: DhcpBook): Promise<void> {
  const answer = await appliance.askAdmin('/dhcp/leases', { method: 'POST', body: JSON.stringify(book) });
  assert.equal(answer.status, 204, await answer.text());
}

test('leases and reservations come whole, or page by page in their order', async (context) => {
  const appliance = await startTestAppliance(context);
  // Addresses are put in order as numbers, and not as they are written or came.
  const places = Array.from({ length: 257 }, (_, index) => (index * 101) % 1000).filter((place) => place > 0);
  const leases = places.map(leaseAt);
  const reservations: DhcpReservation[] = places
    .slice(0, 25)
    .map((place) => ({ mac: leaseAt(place).mac ?? '', address: `10.78.0.${place & 255}`, hostName: null }));
  await imported(appliance, { leases, reservations });
  const whole = (await (await appliance.askAdmin('/dhcp/leases')).json()) as DhcpBook;
  assert.equal(whole.leases.length, leases.length);
  assert.ok(whole.reservations.length > 0);
  const { pages, totals } = await pagesOf<DhcpBook>(appliance, '/dhcp/leases?limit=100');
  assert.deepEqual(
    pages.map((page) => page.leases.length),
    [100, 100, leases.length - 200],
  );
  assert.deepEqual(totals, [String(leases.length)]);
  assert.deepEqual(
    pages.flatMap((page) => page.reservations),
    [],
  );
  const sorted = [...places].sort((one, other) => one - other).map(leaseAt);
  assert.deepEqual(
    pages.flatMap((page) => page.leases),
    sorted,
  );
  const reserved = await pagesOf<DhcpReservation[]>(appliance, '/dhcp/reservations?limit=10');
  assert.deepEqual(
    reserved.pages.flat(),
    [...whole.reservations].sort((one, other) => (one.mac < other.mac ? -1 : 1)),
  );
  assert.deepEqual(reserved.totals, [String(whole.reservations.length)]);
  for (const query of ['limit=0', 'limit=1001', 'after=x'])
    assert.equal((await appliance.askAdmin(`/dhcp/leases?${query}`)).status, 422, query);
  assert.equal((await appliance.askAdmin('/dhcp/leases?after=10.0.0.999')).status, 400);
});

test('whoever changes leases and reservations is in the log of events, with what was before', async (context) => {
  const appliance = await startTestAppliance(context);
  const mac = '02:00:00:00:00:05';
  const one = leaseAt(5);
  await imported(appliance, { leases: [one], reservations: [] });
  const change = async (method: string, path: string, body?: object) => {
    const answer = await appliance.askAdmin(path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.text()}`);
  };
  await change('PUT', `/dhcp/reservations/${mac}`, { address: '10.77.0.9' });
  await change('PUT', '/dhcp/reservations/02-00-00-00-00-05', { address: '10.77.0.10', hostName: 'box' });
  await change('DELETE', `/dhcp/reservations/${mac}`);
  await change('DELETE', `/dhcp/leases/${one.address}`);
  await change('DELETE', `/dhcp/memory/${mac}`);
  await change('PUT', '/dhcp/settings', { interfaces: [] });
  const { events } = (await (await appliance.askAdmin('/events?limit=100')).json()) as {
    events: {
      kind: string;
      subject_id: string | null;
      actor: string;
      details: { before?: unknown; after?: unknown } | null;
    }[];
  };
  const told = events.filter(({ kind }) => kind.startsWith('network.')).reverse();
  assert.deepEqual(
    told.map(({ kind, subject_id }) => [kind, subject_id]),
    [
      ['network.leases.imported', 'dhcp'],
      ['network.reserved', mac],
      ['network.reserved', mac],
      ['network.unreserved', mac],
      ['network.lease.forgotten', mac],
      ['network.forgiven', mac],
      ['network.configured', 'dhcp'],
    ],
  );
  assert.ok(told.every(({ actor }) => actor.startsWith('test-') || actor.includes('test-')));
  const first = { mac, address: '10.77.0.9', hostName: null };
  const second = { mac, address: '10.77.0.10', hostName: 'box' };
  assert.deepEqual(told[2]?.details, { before: first, after: second });
  assert.deepEqual(told[3]?.details, { before: second });
  assert.deepEqual(told[4]?.details?.before, one);
  assert.deepEqual(told[6]?.details, { before: { interfaces: [] }, after: { interfaces: [] } });
});
