import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  appendFile,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  statfs,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { until } from '../testing/files.ts';
import { Journal, readJournal, recorded } from './journal.ts';
import { lacks } from './tests/lab.ts';

const run = promisify(execFile);

async function inFolder(use: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-journal-'));
  try {
    await use(join(folder, 'journal'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function recordsOf(path: string): Promise<{ records: unknown[]; damaged: number }> {
  const records: unknown[] = [];
  const { damaged } = await readJournal(path, (record) => records.push(record));
  return { records, damaged };
}

test('what was appended is read again, in order', () =>
  inFolder(async (path) => {
    const journal = await Journal.open({ path, snapshot: () => ['first'] });
    await Promise.all([journal.append({ number: 1 }), journal.append('zwei\nLinien'), journal.append(3)]);
    await journal.close();
    assert.deepEqual(await recordsOf(path), {
      records: ['first', { number: 1 }, 'zwei\nLinien', 3],
      damaged: 0,
    });
  }));

test('a torn last line and altered lines are left out, and the others stay', () =>
  inFolder(async (path) => {
    const journal = await Journal.open({ path, snapshot: () => [] });
    for (const number of [1, 2, 3]) await journal.append({ number });
    await journal.close();
    const text = await readFile(path, 'latin1');
    await writeFile(path, text.replace('"number":2', '"number":7'));
    await appendFile(path, '1234abcd {"numb');
    assert.deepEqual(await recordsOf(path), { records: [{ number: 1 }, { number: 3 }], damaged: 2 });
  }));

test('a record that a power cut tore, before the zeros that follow it, is left out, and those before it stay', () =>
  inFolder(async (path) => {
    const journal = await Journal.open({ path, snapshot: () => ['first'] });
    await journal.append('second');
    assert.deepEqual(await recordsOf(path), { records: ['first', 'second'], damaged: 0 });
    const open = await readFile(path);
    const whole = recorded(open).length;
    assert.ok(whole < open.length, 'zeros follow');
    await journal.close();
    assert.equal((await stat(path)).size, whole, 'a closed journal ends with its last record');
    await truncate(path, whole - 4);
    await truncate(path, whole + 4096);
    assert.deepEqual(await recordsOf(path), { records: ['first'], damaged: 1 });
  }));

test('a journal that outgrows its room goes on, and nothing in it is lost', () =>
  inFolder(async (path) => {
    const journal = await Journal.open({ path, snapshot: () => [] });
    const long = 'x'.repeat(300_000);
    for (let number = 0; number < 9; number++) await journal.append({ number, long });
    const { records, damaged } = await recordsOf(path);
    assert.deepEqual(
      records.map((record) => (record as { number: number }).number),
      [0, 1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert.equal(damaged, 0);
    await journal.close();
  }));

test('whatever sectors of a group a power cut leaves out, every record before it is read, and none that is not whole', () =>
  inFolder(async (path) => {
    const journal = await Journal.open({ path, snapshot: () => [] });
    const before = Array.from({ length: 20 }, (_, number) => ({ number, text: 'b'.repeat(number * 11) }));
    for (const record of before) await journal.append(record);
    const confirmed = recorded(await readFile(path)).length;
    const group = Array.from({ length: 40 }, (_, number) => ({ number, text: 'g'.repeat(number * 17) }));
    await Promise.all(group.map((record) => journal.append(record)));
    const file = await readFile(path);
    const whole = recorded(file).length;
    await journal.close();
    const sector = 512;
    const first = Math.floor(confirmed / sector);
    const sectors = Math.ceil(whole / sector) - first;
    const known = new Set([...before, ...group].map((record) => JSON.stringify(record)));
    const lostOnes = fc.array(fc.boolean(), { minLength: sectors, maxLength: sectors });
    await fc.assert(
      fc.asyncProperty(lostOnes, async (lost) => {
        const torn = Buffer.from(file);
        for (const [index, isLost] of lost.entries()) {
          const from = Math.max(confirmed, (first + index) * sector);
          if (isLost) torn.fill(0, from, (first + index + 1) * sector);
        }
        await writeFile(path, torn);
        const { records } = await recordsOf(path);
        assert.deepEqual(records.slice(0, before.length), before);
        for (const record of records) assert.ok(known.has(JSON.stringify(record)));
      }),
      { numRuns: 60 },
    );
  }));

test(
  'a torn record in the midst of a megabyte of zeros is read as fast as others',
  { timeout: 120_000 },
  () =>
    inFolder(async (path) => {
      const journal = await Journal.open({ path, snapshot: () => ['first'] });
      await journal.close();
      const zeros = Buffer.alloc(1 << 20);
      await appendFile(path, Buffer.concat([zeros, Buffer.from('1234abcd {"numb'), zeros]));
      assert.deepEqual(await recordsOf(path), { records: ['first'], damaged: 1 });
    }),
);

test('a missing journal is empty', () =>
  inFolder(async (path) => {
    assert.deepEqual(await recordsOf(path), { records: [], damaged: 0 });
  }));

test('records that wait together share a sync, and each hears of it after it is in the file', () =>
  inFolder(async (path) => {
    const journal = await Journal.open({ path, snapshot: () => [] });
    let confirmed = 0;
    await Promise.all(
      Array.from({ length: 5000 }, async (_, number) => {
        await journal.append({ number });
        confirmed++;
      }),
    );
    assert.equal(confirmed, 5000);
    assert.equal((await recordsOf(path)).records.length, 5000);
    await journal.close();
  }));

test('the file is written anew while appends go on, and nothing is lost or grows without end', () =>
  inFolder(async (path) => {
    const state = new Map<number, number>();
    const snapshot = () => [...state].map(([key, value]) => ({ key, value }));
    const journal = await Journal.open({ path, snapshot, slack: 300 });
    let largest = 0;
    for (let round = 0; round < 60; round++) {
      const writes = Array.from({ length: 50 }, (_, key) => {
        state.set(key, round);
        return journal.append({ key, value: round });
      });
      await Promise.all(writes);
      largest = Math.max(largest, (await readFile(path)).indexOf(0));
    }
    await journal.close();
    const read = new Map<number, number>();
    const { damaged } = await readJournal(path, (record) => {
      const { key, value } = record as { key: number; value: number };
      read.set(key, value);
    });
    assert.equal(damaged, 0);
    assert.deepEqual(read, state);
    assert.ok(largest < 60_000, `${largest} bytes for 50 values`);
  }));

test('when the disk refuses, nothing is confirmed any more', () =>
  inFolder(async (path) => {
    let told = 0;
    const journal = await Journal.open({
      path,
      snapshot: () => [],
      onFailure: () => {
        told++;
      },
    });
    await journal.append(1);
    // The descriptor is closed behind its back, as a disk that went away would refuse.
    await journal.close();
    await assert.rejects(journal.append(2), { code: 'LEASES_NOT_SAVED' });
    await assert.rejects(journal.append(3), { code: 'LEASES_NOT_SAVED' });
    assert.equal(told, 1);
  }));

test(
  'a disk that was full takes records again once there is room, and none that was confirmed is lost',
  {
    skip: lacks('mount', 'umount'),
  },
  () =>
    inFolder(async (path) => {
      const folder = dirname(path);
      await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]);
      try {
        const told: string[] = [];
        const kept: unknown[] = [];
        let recovered = () => {};
        const recovery = new Promise<void>((resolve) => {
          recovered = resolve;
        });
        const journal = await Journal.open({
          path,
          snapshot: () => kept,
          onFailure: () => told.push('failed'),
          onRecovery: recovered,
          retryAfter: 20,
        });
        const append = async (record: unknown) => {
          await journal.append(record);
          kept.push(record);
        };
        await append('before');
        await writeFile(join(folder, 'filler'), new Uint8Array(56 * 1024));
        await assert.rejects(append('x'.repeat(12_000)), { code: 'LEASES_NOT_SAVED' });
        assert.equal(journal.problem?.code, 'LEASES_NOT_SAVED');
        // Tries that fail meanwhile are no further news.
        await assert.rejects(append('y'), { code: 'LEASES_NOT_SAVED' });
        const before = journal.problem;
        await until('another try fails', () => journal.problem !== before);
        await rm(join(folder, 'filler'));
        await recovery;
        assert.equal(journal.problem, null);
        await append('after');
        assert.deepEqual(told, ['failed']);
        assert.deepEqual(await recordsOf(path), { records: ['before', 'after'], damaged: 0 });
        await journal.close();
        assert.deepEqual((await readdir(folder)).sort(), ['journal']);
      } finally {
        await run('umount', ['--lazy', folder]);
      }
    }),
);

/** A file system of `size` in a folder of its own; `fill` takes all of it but `left` bytes. */
async function onSmallDisk(
  size: number,
  use: (path: string, fill: (left: number) => Promise<void>, clear: () => Promise<void>) => Promise<void>,
): Promise<void> {
  await inFolder(async (path) => {
    const folder = dirname(path);
    const filler = join(folder, 'filler');
    await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
    try {
      const fill = async (left: number) => {
        const { bavail, bsize } = await statfs(folder);
        await writeFile(filler, Buffer.alloc(bavail * bsize - left));
      };
      await use(path, fill, () => rm(filler));
    } finally {
      await run('umount', ['--lazy', folder]);
    }
  });
}

test('a disk with little to spare is not filled with zeros, and one with plenty is', {
  skip: lacks('mount', 'umount'),
}, async () => {
  for (const [size, isPlenty] of [
    [8 << 20, false],
    [64 << 20, true],
  ] as const) {
    await onSmallDisk(size, async (path) => {
      const journal = await Journal.open({ path, snapshot: () => [] });
      for (let number = 0; number < 10; number++) await journal.append({ number });
      assert.equal((await stat(path)).size >= 1 << 20, isPlenty);
      await journal.close();
      assert.equal((await recordsOf(path)).records.length, 10);
    });
  }
});

test(
  'a full disk takes records over the room they have, also when there is none to write the file anew',
  { skip: lacks('mount', 'umount') },
  () =>
    onSmallDisk(32 << 20, async (path, fill, clear) => {
      const told: unknown[] = [];
      const journal = await Journal.open({
        path,
        // More than fits beside what fills the disk.
        snapshot: () => ['x'.repeat(64 << 10)],
        slack: 10,
        onFailure: (problem) => told.push(problem),
      });
      await fill(0);
      for (let number = 0; number < 100; number++) await journal.append({ number });
      assert.deepEqual(told, []);
      assert.equal((await recordsOf(path)).records.length, 101);
      // What somebody waits for is not passed over.
      await journal.rewrite();
      assert.equal(journal.problem?.code, 'LEASES_NOT_SAVED');
      assert.equal(told.length, 1);
      await clear();
      await journal.rewrite();
      assert.equal(journal.problem, null);
      await journal.append('last');
      assert.equal((await recordsOf(path)).records.length, 2, 'it was written anew');
      await journal.close();
    }),
);
