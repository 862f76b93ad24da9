import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import fc from 'fast-check';
import { descendants, Ledger, type ProcessStat, parseStat, readStat } from './tree.ts';

const linux = process.platform === 'linux' ? false : 'needs /proc of Linux';

test('a line of /proc/PID/stat is read past a name that holds brackets and spaces', () => {
  const fields = Array.from({ length: 50 }, (_, index) => index + 3); // each field holds its own number
  assert.deepEqual(parseStat(`4711 (a) b (c)) R ${fields.slice(1).join(' ')}\n`), {
    pid: 4711,
    ticks: 14 + 15,
    childTicks: 16 + 17,
    residentPages: 24,
  });
});

test('text that is no such line is nobody', () => {
  assert.equal(parseStat(''), null);
  assert.equal(parseStat('12 (dd) R 1 2'), null);
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseStat(text);
    }),
  );
});

const stat = (pid: number, ticks: number, residentPages: number): ProcessStat => ({
  pid,
  ticks,
  childTicks: 0,
  residentPages,
});

test('the peak is the largest sum of one look, not the sum of the largest', () => {
  const ledger = new Ledger();
  ledger.add([stat(1, 0, 100), stat(2, 0, 5)]);
  ledger.add([stat(1, 0, 10), stat(2, 0, 80)]);
  assert.equal(ledger.peakPages, 105);
});

test('time of processes that have ended stays counted, once', () => {
  const ledger = new Ledger();
  ledger.add([stat(1, 10, 1), stat(2, 7, 1)]);
  ledger.add([stat(1, 25, 1)]);
  assert.equal(ledger.ticks, 32);
});

test('this process and a child of it are found', { skip: linux }, async () => {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume(); process.stdout.write("up")']);
  await once(child.stdout, 'data');
  const found = descendants([process.pid]);
  assert.ok(found.includes(process.pid));
  assert.ok(child.pid && found.includes(child.pid));
  const seen = readStat(child.pid);
  assert.ok(seen && seen.residentPages > 1000);
  child.stdin.end();
  await once(child, 'exit');
  assert.equal(readStat(child.pid), null);
});
