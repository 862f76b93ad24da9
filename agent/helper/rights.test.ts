import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askingUser, cleanEnvironment } from './become.ts';
import { judgeRights } from './rights.ts';

const none = '0000000000000000';
/** A status as proc_pid_status(5) shows it. */
const status = (more: Readonly<Record<string, string>> = {}): string =>
  Object.entries({
    Pid: '7',
    Uid: '1000\t1000\t1000\t1000',
    Gid: '1000\t1000\t1000\t1000',
    Groups: '27 1000 ',
    CapInh: none,
    CapPrm: none,
    CapEff: none,
    CapBnd: none,
    CapAmb: none,
    NoNewPrivs: '1',
    ...more,
  })
    .map(([name, value]) => `${name}:\t${value}`)
    .join('\n');

test('threads that may no more than the user are fine', () => {
  assert.equal(judgeRights([status(), status()], 1000), null);
  assert.equal(judgeRights([status({ CapBnd: '000001ffffffffff' })], 1000), null, 'a bound is not a right');
  const root = { Uid: '0\t0\t0\t0', Gid: '0\t0\t0\t0' };
  const few = { CapBnd: '0000000000000006', CapPrm: '0000000000000006', CapEff: '0000000000000006' };
  assert.equal(judgeRights([status({ ...root, ...few })], 0), null);
});

test('one thread that may more is found', () => {
  const wrong: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ Uid: '1000\t1000\t0\t1000' }, /runs as the users 1000, 1000, 0, 1000, not as 1000/],
    [{ Uid: '0\t0\t0\t0' }, /not as 1000/],
    [{ Gid: '1000\t0\t1000\t1000' }, /runs as the groups/],
    [{ CapEff: '0000000000200000' }, /has CapEff/],
    [{ CapPrm: '0000000000000001' }, /has CapPrm/],
    [{ CapAmb: '0000000000000001' }, /has CapAmb/],
    [{ CapEff: 'many' }, /does not tell CapEff/],
    [{ NoNewPrivs: '0' }, /could gain rights/],
  ];
  for (const [more, problem] of wrong)
    assert.match(judgeRights([status(), status(more)], 1000) ?? '', problem);
  assert.match(judgeRights([], 1000) ?? '', /does not tell/);
  assert.match(judgeRights([''], 1000) ?? '', /not as 1000/);
  assert.match(
    judgeRights([status({ Uid: '0\t0\t0\t0', CapBnd: '000001ffffffffff' })], 0) ?? '',
    /has CapBnd/,
  );
});

test('the asking user is the one of pkexec, else the real one, and a nonsense is no user', () => {
  assert.equal(askingUser({ PKEXEC_UID: '1000' }, 0, 0), 1000);
  assert.equal(askingUser({}, 1000, 0), 1000, 'a set-user-id program');
  assert.equal(askingUser({}, 0, 0), 0);
  assert.equal(
    askingUser({ PKEXEC_UID: '0' }, 1000, 1000),
    1000,
    'whoever has no rights cannot become another',
  );
  for (const told of ['', '-1', '1e3', 'root', '4294967295', '99999999999', '1000 '])
    assert.throws(() => askingUser({ PKEXEC_UID: told }, 0, 0), { code: 'HELPER_RIGHTS' }, told);
});

test('of the environment only language and time zone are kept', () => {
  const given = {
    PATH: '/tmp',
    HOME: '/tmp',
    LD_PRELOAD: '/tmp/x.so',
    NODE_OPTIONS: '-r x',
    LANG: 'de_DE.UTF-8',
    TZ: 'x'.repeat(999),
  };
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  assert.deepEqual(cleanEnvironment(given, '/home/ann'), {
    PATH: path,
    HOME: '/home/ann',
    LANG: 'de_DE.UTF-8',
  });
});
