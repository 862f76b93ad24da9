import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { Book } from './book.ts';
import type { Lease } from './lease.ts';
import { Store } from './store.ts';
import { ip, mac, place } from './testing.ts';

async function inFolder(use: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-leases-'));
  try {
    await use(join(folder, 'leases.journal'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function lease(address: string, more: Partial<Lease> = {}): Lease {
  return {
    address: ip(address),
    state: 'bound',
    key: `1/${address}`,
    mac,
    uuid: null,
    hostName: 'node1',
    vendorClass: null,
    interface: 'lab0',
    since: 1000,
    expires: 2000,
    ...more,
  };
}

const put = (store: Store, one: Lease) =>
  new Promise<void>((resolve, reject) => {
    store.put(one, (error) => (error === null ? resolve() : reject(error)));
  });

test('leases, reservations and proven forms outlive a restart; offers do not', () =>
  inFolder(async (path) => {
    const first = await Store.open(path);
    await put(first, lease('10.77.0.50'));
    await put(first, lease('10.77.0.51', { state: 'declined', key: '' }));
    await put(first, lease('10.77.0.52', { state: 'offered' }));
    await first.reserve({ mac, address: '10.77.0.60', hostName: 'node1' });
    const attempt = { ladder: 'proxy/uefi', form: 'proxy-43', offers: 1, xid: 1, at: 0 } as const;
    first.memory.attempted(mac, attempt, 'PXEClient:Arch:00007');
    first.memory.fetched(mac, 0);
    await first.close();
    const second = await Store.open(path);
    assert.deepEqual(second.report, { leases: 2, reservations: 1, damaged: 0 });
    assert.deepEqual(second.book.at(ip('10.77.0.50')), lease('10.77.0.50'));
    assert.equal(second.book.at(ip('10.77.0.52')), null);
    assert.equal(second.book.reservationOf(mac)?.address, ip('10.77.0.60'));
    assert.deepEqual(second.memory.view(mac, null, 0).remembered, { form: 'proxy-43', from: 'this machine' });
    await second.unreserve(mac);
    await second.forget('10.77.0.51');
    await second.close();
    const third = await Store.open(path);
    assert.equal(third.book.reservationOf(mac), null);
    assert.equal((third.book.at(ip('10.77.0.51'))?.expires ?? 0) <= 0, true);
    await third.close();
  }));

test('what was exported is imported by an empty appliance to the same book', () =>
  inFolder(async (path) => {
    const one = await Store.open(path);
    for (const last of [50, 51, 52]) await put(one, lease(`10.77.0.${last}`));
    await one.reserve({ mac, address: '10.77.0.60' });
    const other = await Store.open(`${path}2`);
    await other.import(one.export());
    assert.deepEqual(other.export(), one.export());
    await one.close();
    await other.close();
  }));

test('an address is reserved for one machine only, and unknown ones are told', () =>
  inFolder(async (path) => {
    const store = await Store.open(path);
    await store.reserve({ mac, address: '10.77.0.60' });
    await assert.rejects(store.reserve({ mac: '52:54:00:77:00:09', address: '10.77.0.60' }), {
      code: 'RESERVATION_INVALID',
    });
    await assert.rejects(store.reserve({ mac, address: '10.77.0.999' }), { code: 'RESERVATION_INVALID' });
    await assert.rejects(store.unreserve('52:54:00:77:00:09'), { code: 'NO_SUCH_LEASE' });
    await assert.rejects(store.forget('10.77.0.9'), { code: 'NO_SUCH_LEASE' });
    await store.close();
  }));

test('a damaged journal is used as far as it goes, and kept aside', () =>
  inFolder(async (path) => {
    const store = await Store.open(path);
    await put(store, lease('10.77.0.50'));
    await store.close();
    await appendFile(path, 'rubbish\n');
    const again = await Store.open(path);
    assert.deepEqual(again.report, { leases: 1, reservations: 0, damaged: 1 });
    assert.equal(existsSync(`${path}.damaged`), true);
    await again.close();
  }));

test('whatever happens, no address has two holders and no free address is held', () => {
  const subnet = place('full').subnets[0];
  if (!subnet) throw new Error('no subnet');
  const step = fc.record({
    client: fc.integer({ min: 0, max: 8 }),
    state: fc.constantFrom('offered', 'bound', 'released', 'declined', 'withdraw', 'reserve'),
    wait: fc.integer({ min: 0, max: 400 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const book = new Book();
      let now = 1000;
      for (const { client, state, wait } of steps) {
        now += wait;
        const key = `1/${client}`;
        const held: Lease | null = book.ofClient(key);
        const address: number | null = held?.address ?? book.free(subnet, now, []);
        if (address === null) continue;
        const before = book.at(address);
        if (!held) assert.ok(!before || before.expires <= now || before.state === 'offered');
        if (!held) assert.equal(book.reservedAt(address), null);
        if (state === 'withdraw') book.withdraw(address);
        else if (state === 'reserve') book.reserve({ mac: `m${client}`, address, hostName: null });
        else {
          const owner = state === 'declined' ? '' : key;
          const expires = state === 'released' ? now : now + 500;
          book.put({ ...lease('10.77.0.50'), address, key: owner, state, since: now, expires });
        }
        for (const one of book.leases) {
          const mine = one.key === '' ? null : book.ofClient(one.key);
          if (one.state === 'bound' && one.expires > now) assert.ok(mine !== null);
          if (mine) assert.equal(book.at(mine.address)?.key, mine.key);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('the address that has been free for longest is given first, and fresh ones before it', () => {
  const subnet = place('full').subnets[0];
  if (!subnet) throw new Error('no subnet');
  const book = new Book();
  for (let last = 50; last <= 60; last++) {
    const address = `10.77.0.${last}`;
    assert.equal(book.free(subnet, 0, []), ip(address));
    book.put(lease(address, { expires: 3000 - last }));
  }
  assert.equal(book.free(subnet, 2900, []), null);
  assert.equal(book.free(subnet, 5000, []), ip('10.77.0.60'));
});
