import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backOff, candidatesOf, isUser, strangerIn, userOf } from './find.ts';

const clues = { mac: 'm', said: null, leased: [], seen: [], named: [], last: null };

test('addresses are tried in the order of their trust, each once; what the operator says stands alone', () => {
  const all = {
    ...clues,
    leased: ['10.0.0.5', '10.0.0.4'],
    seen: ['10.0.0.5', '10.0.0.6'],
    named: ['10.0.0.7'],
    last: '10.0.0.4',
  };
  assert.deepEqual(
    candidatesOf(all).map(({ address, from }) => `${address} ${from}`),
    ['10.0.0.5 lease', '10.0.0.4 lease', '10.0.0.6 neighbour', '10.0.0.7 name'],
  );
  assert.deepEqual(candidatesOf({ ...all, said: '10.9.9.9' }), [{ address: '10.9.9.9', from: 'label' }]);
  assert.deepEqual(candidatesOf(clues), []);
  assert.equal(
    candidatesOf({ ...clues, seen: Array.from({ length: 99 }, (_, place) => `10.0.1.${place}`) }).length,
    8,
  );
});

test('tries come soon at first and then every twenty seconds', () => {
  const all = Array.from({ length: 20 }, (_, tries) => backOff(tries));
  assert.equal(all[0], 1000);
  assert.ok(all.every((delay, index) => delay >= (all[index - 1] ?? 0) && delay <= 20_000));
  assert.equal(all.at(-1), 20_000);
});

test('a live system, and a system that did not boot since the flash, is a stranger', () => {
  const at = (commandLine: string, uptime: string, since: number | null) =>
    strangerIn({ commandLine, uptime }, since);
  assert.equal(at('root=/dev/sda1 quiet', '30.11 5.00', 60), null);
  assert.equal(at('root=/dev/sda1', '150.1 5', 60), null, 'a clock that is set in between');
  assert.match(at('root=/dev/sda1', '500 5', 60) ?? '', /up for 500 s/);
  assert.equal(at('root=/dev/sda1', '500 5', null), null);
  assert.match(at('quiet bty.server=http://10.0.0.1 bty.mac=x', '5 5', 60) ?? '', /live system/);
  assert.equal(at('subty.server=1', 'nonsense', 60), null);
});

test('whom tasks log in as: the label, the first rule that fits, else the setting', () => {
  const rules = ['role=db:postgres', 'os=bsd:toor', 'nonsense', 'role=x:bad user'];
  assert.equal(userOf({ 'task-user': 'me', role: 'db' }, rules, 'root'), 'me');
  assert.equal(userOf({ role: 'db', os: 'bsd' }, rules, 'root'), 'postgres');
  assert.equal(userOf({ os: 'bsd' }, rules, 'root'), 'toor');
  assert.equal(userOf({ role: 'x' }, rules, 'root'), 'root');
  assert.equal(userOf({ 'task-user': '-oProxyCommand=x' }, rules, 'root'), 'root');
  assert.ok(!isUser('a b') && !isUser('') && isUser('deploy-1'));
});
