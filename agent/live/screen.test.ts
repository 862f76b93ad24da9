import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { progressText, Screen } from './screen.ts';

function twoConsoles() {
  const [tty, serial] = [new PassThrough(), new PassThrough()];
  let now = 0;
  const screen = new Screen(
    [
      { out: tty, isScreen: true },
      { out: serial, isScreen: false },
    ],
    () => now,
  );
  const text = (stream: PassThrough): string => String(stream.read() ?? '');
  return {
    screen,
    tty: () => text(tty),
    serial: () => text(serial),
    at: (milliseconds: number) => {
      now = milliseconds;
    },
  };
}

test('a line goes to every console with the time since the start, its control characters shown', () => {
  const { screen, tty, serial, at } = twoConsoles();
  at(12_340);
  screen.say('disk \u001b[2J gone');
  assert.equal(serial(), '[   12.3] disk \\x1b[2J gone\r\n');
  assert.equal(tty(), '[   12.3] disk \\x1b[2J gone\r\n');
});

test('progress is drawn over itself on a screen and written now and then on a serial line', () => {
  const { screen, tty, serial, at } = twoConsoles();
  for (let tick = 0; tick <= 40; tick++) {
    at(tick * 250);
    screen.progress('Writing', tick * 1e6, 40e6, 4e6);
  }
  assert.equal(tty().split('\r').length - 1, 41);
  assert.equal(serial().split('\r\n').length - 1, 3);
  screen.say('Done');
  assert.ok(tty().startsWith('\r\u001b[K['), 'the bar is wiped before the next line');
});

test('a failure stands between rules with its advice, in lines that fit', () => {
  const { screen, serial } = twoConsoles();
  screen.alarm(`No disk of this machine is ${'the one '.repeat(20)}.`, 'Correct the binding.');
  const lines = serial().split('\r\n');
  assert.ok(lines.every((line) => line.length <= 80));
  assert.ok(lines.some((line) => line.startsWith('  FAILED: No disk')));
  assert.ok(lines.includes('  Correct the binding.'));
});

test('a bar tells share, amounts, rate and the time that is left', () => {
  assert.equal(
    progressText('Writing', 1.3e9, 2.6e9, 100e6),
    'Writing    [###############...............]   50%  1300 MB of 2600 MB  100 MB/s  0:13 left',
  );
  assert.equal(progressText('Writing', 5e6, null, null), 'Writing    5.0 MB');
});

test('a console that takes nothing is left out instead of waited for', () => {
  const stuck = new PassThrough({ highWaterMark: 1 });
  const screen = new Screen([{ out: stuck, isScreen: false }], () => 0);
  for (let line = 0; line < 10_000; line++) screen.say('x'.repeat(100));
  assert.ok(stuck.writableLength + stuck.readableLength < 200_000);
});
