import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bindingsOf } from './bindings.ts';
import { keyGroups, keyText } from './help.ts';
import { paint, type Renditions } from './painter.ts';
import { firstState, type State } from './state.ts';
import { step } from './step.ts';
import { after, diskRow, events, folder, imageRow, key, picking, press, Screen, setting } from './testing.ts';
import { type Charset, width } from './text.ts';
import { view } from './view.ts';

const size = { columns: 80, rows: 24 };
const text = (state: State, at = size) =>
  view(state, at, 'ascii')
    .map((each) => each.text.trimEnd())
    .join('\n');

const sizes = fc.oneof(
  fc.record({ columns: fc.integer({ min: 20, max: 200 }), rows: fc.integer({ min: 5, max: 60 }) }),
  fc.record({ columns: fc.integer({ min: 1, max: 24 }), rows: fc.integer({ min: 1, max: 6 }) }),
  fc.constant(size),
);
const settings = fc.record({
  readOnly: fc.constantFrom(null, 'Read-only mode (not root).'),
  live: fc.boolean(),
});

test('no keys, no events and no size make it throw or draw beyond the screen, on any terminal', () => {
  const run = fc.property(
    fc.array(events, { maxLength: 60 }),
    sizes,
    fc.constantFrom<Charset>('ascii', 'unicode'),
    settings,
    (happened, at, charset, more) => {
      let state = firstState({ ...setting, ...more }, folder);
      for (const event of happened) {
        state = step(state, event).state;
        const lines = view(state, at, charset);
        assert.equal(lines.length, at.rows);
        for (const { text } of lines) {
          assert.ok(width(text) <= at.columns, `${JSON.stringify(text)} in ${at.columns} columns`);
          assert.doesNotMatch(text, charset === 'ascii' ? /[^ -~]/ : /[\p{Cc}\p{Cf}\p{Cs}\p{M}]/u);
        }
      }
    },
  );
  fc.assert(run, { numRuns: 400 });
});

test('what is painted over a screen makes it show exactly the next lines', () => {
  const run = fc.property(
    fc.array(events, { minLength: 1, maxLength: 40 }),
    fc.record({ columns: fc.integer({ min: 20, max: 120 }), rows: fc.integer({ min: 5, max: 40 }) }),
    fc.constantFrom<Charset>('ascii', 'unicode'),
    fc.constantFrom<Renditions>('none', 'mono', 'colour'),
    (happened, at, charset, look) => {
      const screen = new Screen(at.columns, at.rows);
      let state = picking();
      let before = null;
      for (const event of happened) {
        state = step(state, event).state;
        const lines = view(state, at, charset);
        screen.write(paint(before, lines, look));
        before = lines;
        assert.deepEqual(
          screen.text,
          lines.map((each) => each.text.trimEnd()),
        );
      }
    },
  );
  fc.assert(run, { numRuns: 200 });
});

test('on a plain terminal not one rendition is sent', () => {
  const lines = view(picking(), size, 'ascii');
  const sent = paint(null, lines, 'none').replaceAll('\u001b[0m', '');
  assert.ok(!/\[[0-9;]*m/.test(sent.replaceAll('\u001b', '')), 'no SGR');
});

test('a step of the cursor costs a handful of bytes, and a tick of progress less than a tenth of the screen', () => {
  const one = picking();
  const cost = (from: State, to: State) =>
    paint(view(from, size, 'ascii'), view(to, size, 'ascii'), 'none').length;
  assert.ok(cost(one, after(one, key('down'))) <= 20, `${cost(one, after(one, key('down')))} bytes`);
  const target = '/dev/sdb';
  const writing = after(
    writingState(),
    { kind: 'flash', event: { kind: 'phase', at: 0, target, phase: 'writing' } },
    {
      kind: 'flash',
      event: { kind: 'progress', at: 1000, target, phase: 'writing', bytes: 40e6, total: 1e9 },
    },
    { kind: 'clock', now: 1000 },
  );
  const next = after(
    writing,
    {
      kind: 'flash',
      event: { kind: 'progress', at: 2000, target, phase: 'writing', bytes: 97e6, total: 1e9 },
    },
    { kind: 'clock', now: 2000 },
  );
  assert.ok(cost(writing, next) < 80, `${cost(writing, next)} bytes`);
});

function writingState(): State {
  const review = {
    image: 'alpine.img',
    format: 'img',
    storedBytes: 1e9,
    imageBytes: 1e9,
    sha256: null,
    notes: [],
    refusals: [],
  };
  return after(
    picking(),
    key('enter'),
    key('enter'),
    key('enter'),
    { kind: 'probed', review },
    { kind: 'armed' },
    key('enter'),
    { kind: 'clock', now: 0 },
    {
      kind: 'flash',
      event: {
        kind: 'started',
        at: 0,
        image: 'alpine.img',
        format: 'img',
        storedBytes: 1e9,
        imageBytes: 1e9,
        targets: [{ target: '/dev/sdb', size: 16e9 }],
      },
    },
  );
}

test('the three panes, the marks of the cursor and of what was picked, and the sentence of the window', () => {
  const state = after(picking(), key('enter'), key('enter'));
  const shown = text(state);
  assert.match(shown, /^-- 1 Image from \/var\/lib\/bty\/images -+ 3 --$/m);
  assert.match(shown, /^>\* alpine\.img {2,}img {2,}5\.0 MB$/m);
  assert.match(shown, /^ {3}\/dev\/sda {2,}16\.0 GB {2}nvme .*system$/m);
  assert.match(shown, /^>\* \/dev\/sdb/m);
  assert.match(
    shown.replaceAll('\n', ''),
    /Write alpine\.img \(5\.0 MB\) to \/dev\/sdb \(SanDisk Ultra, 16\.0 GB, usb, serial 4C53\)\. Everything on it will be lost\./,
  );
  assert.match(shown, /^> {2}\[ Flash! \]$/m);
});

test('a disk that cannot be written tells why in the words of the command line', () => {
  const state = after(picking(), press('2'), key('up'));
  assert.match(text(state), /! \/dev\/sda is the disk this system runs from \(\/\)\. Choose another disk\./);
  const small = after(picking(), key('end'), key('enter'));
  assert.match(text(small), /too small/);
});

test('read-only is said, and the key that would flash is neither shown nor obeyed', () => {
  const state = picking({ readOnly: 'Read-only mode (not root): nothing can be written.' });
  assert.match(text(state), /READ-ONLY: not root/);
  assert.match(text(state), /Read-only mode \(not root\)/);
  assert.doesNotMatch(text(state), /f flash/);
  assert.equal(step(state, press('f')).effects.length, 0);
});

test('what is typed, and the way back to everything, is on the screen', () => {
  const state = after(picking(), press('/'), press('d'), press('e'));
  assert.match(text(state), /Filter: de_/);
  assert.match(text(state), /1 of 3/);
  assert.match(text(after(state, press('z'))), /No name holds "dez"/);
});

test('every screen of 80 by 24 names the keys that work there, and the help lists them all', () => {
  const state = picking();
  const help = text(after(state, press('?'))).replace(/\s+/g, ' ');
  assert.ok(help.includes('Ctrl+L redraw, everywhere'), help);
  for (const { bindings } of keyGroups(state))
    for (const { keys, does, action } of bindings)
      if (action !== 'repaint')
        assert.ok(
          help.includes(`${keyText(keys)} ${does}`) || help.includes(`${keyText(keys)} = ${does}`),
          does,
        );
  for (const one of [state, after(state, press('/')), after(state, press('s')), writingState()]) {
    const shown = text(one);
    for (const { label, does, minor } of bindingsOf(one))
      if (!minor) assert.ok(shown.includes(`${label} ${does}`), `${label} ${does} is missing in\n${shown}`);
  }
});

test('the help of 80 by 24 shows every key', () => {
  const shown = text(after(picking(), press('?')));
  assert.doesNotMatch(shown, /more lines/);
});

test('names from elsewhere cannot drive the terminal or hide', () => {
  const rows = [imageRow('\u001b[2Jevil\u202e.img'), imageRow('日本.img')];
  const state = after(picking(), {
    kind: 'images',
    source: folder,
    listing: { kind: 'there', rows, notes: [] },
  });
  assert.match(text(state), /\\x1b\[2Jevil\\u202e\.img/);
  assert.match(text(state), /\\u\{65e5\}\\u\{672c\}\.img/);
  assert.match(
    view(state, size, 'unicode')
      .map((each) => each.text)
      .join('\n'),
    /日本\.img/,
  );
});

test('a bar, rate, time left, time so far and what limits the speed', () => {
  const target = '/dev/sdb';
  const state = after(
    writingState(),
    { kind: 'flash', event: { kind: 'phase', at: 0, target, phase: 'writing' } },
    {
      kind: 'flash',
      event: { kind: 'source', at: 0, storedBytes: 1, imageBytes: 1, bottleneck: 'decompress' },
    },
    {
      kind: 'flash',
      event: { kind: 'progress', at: 1000, target, phase: 'writing', bytes: 100e6, total: 1e9 },
    },
    { kind: 'clock', now: 61_000 },
  );
  const shown = text(state);
  assert.match(shown, /DO NOT REMOVE THE DISK/);
  assert.match(shown, /\[#{6}\.{54}\] {2}10%/);
  assert.match(shown, /100 MB of 1\.0 GB, 100 MB\/s, 0:09 left, 1:01 so far/);
  assert.match(shown, /limited by unpacking/);
  assert.match(shown, /\[x\] Clearing the start\n \[>\] Writing/);
});

test('on the smallest screens the pane with the keys is there, and the keys are', () => {
  const small = { columns: 40, rows: 10 };
  assert.match(text(picking(), small), /1 Image/);
  assert.match(text(after(picking(), key('tab')), small), /2 Disk/);
  assert.match(text(picking(), small), /\? help/);
  const tiny = text(after(picking(), key('tab')), { columns: 20, rows: 5 });
  assert.match(tiny, /\/dev\/sdb/);
});

test('a disk keeps its place on the screen while others come and go', () => {
  const state = after(picking(), key('tab'), key('down'));
  const rows = [diskRow('/dev/aaa', { serial: 'N' }), ...state.disks.rows];
  const next = after(state, { kind: 'disks', listing: { kind: 'there', rows, notes: [] } });
  assert.match(text(next), /^> {2}\/dev\/sdc/m);
});
