import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Resend } from './resend.ts';

const full = Object.assign(new Error('send ENOBUFS'), { code: 'ENOBUFS' });
const gone = Object.assign(new Error('send ENETUNREACH'), { code: 'ENETUNREACH' });

/** A network that refuses `errors` one after the other, and then takes everything. */
function stage(context: TestContext, errors: readonly Error[], most?: number) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const left = [...errors];
  const sent: string[] = [];
  const refused: string[] = [];
  const resend = new Resend(most);
  const send = (name: string) =>
    resend.send(
      (done) => {
        const error = left.shift() ?? null;
        if (error === null) sent.push(name);
        done(error);
      },
      (error, isFull) => refused.push(`${name} ${error.message} ${isFull}`),
    );
  return { send, sent, refused, resend, left };
}

test('a reply that the kernel had no room for goes out once it has', (context) => {
  const { send, sent, refused } = stage(context, [full, full]);
  send('one');
  assert.deepEqual(sent, []);
  context.mock.timers.tick(49);
  assert.deepEqual(sent, []);
  context.mock.timers.tick(1);
  // Refused again, so that it waits for longer.
  assert.deepEqual(sent, []);
  context.mock.timers.tick(250);
  assert.deepEqual(sent, ['one']);
  assert.deepEqual(refused, []);
});

test('a reply that is refused four times is given up, and what is refused for another cause at once', (context) => {
  const { send, sent, refused, left } = stage(context, [full, full, full, full, gone]);
  send('one');
  for (const wait of [50, 250, 1000]) context.mock.timers.tick(wait);
  assert.deepEqual(refused, ['one send ENOBUFS true']);
  send('two');
  assert.deepEqual(refused.slice(1), ['two send ENETUNREACH false']);
  assert.deepEqual([sent, left], [[], []]);
});

test('only so many replies wait; the others are given up, and none goes out after the end', (context) => {
  const { send, sent, refused, resend, left } = stage(context, [full, full, full], 2);
  for (const name of ['one', 'two', 'three']) send(name);
  assert.deepEqual(refused, ['three send ENOBUFS true']);
  context.mock.timers.tick(50);
  assert.deepEqual(sent, ['one', 'two']);
  left.push(full);
  send('four');
  resend.close();
  context.mock.timers.tick(5000);
  assert.deepEqual(sent, ['one', 'two']);
});
