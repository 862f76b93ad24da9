import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { failure } from '../../shared/failure.ts';
import { bindingsOf } from './bindings.ts';
import { firstState, type Review, type State } from './state.ts';
import { firstEffects, step } from './step.ts';
import { after, diskRow, events, folder, key, picking, press, setting, systemDisk } from './testing.ts';

const review: Review = {
  image: 'alpine.img',
  format: 'img',
  storedBytes: 5e6,
  imageBytes: 5e6,
  sha256: null,
  notes: [],
  refusals: [],
};
const kinds = (
  state: State,
  ...happened: Parameters<typeof after> extends [State, ...infer E] ? E : never
) => {
  const last = happened.at(-1);
  const before = after(state, ...happened.slice(0, -1));
  return last ? step(before, last).effects.map(({ kind }) => kind) : [];
};
const reviewed = (): State =>
  after(picking(), key('enter'), key('enter'), key('enter'), { kind: 'probed', review });

test('two arrows and Enter: image, disk, look, write', () => {
  assert.deepEqual(
    firstEffects(firstState(setting, folder)).map(({ kind }) => kind),
    ['list-images', 'list-disks'],
  );
  const image = after(picking(), key('enter'));
  assert.equal(image.image?.name, 'alpine.img');
  assert.equal(image.focus, 'disks');
  const disk = after(image, key('enter'));
  assert.equal(disk.disk?.path, '/dev/sdb', 'the cursor stands on the first disk that can be written');
  assert.equal(disk.focus, 'write');
  assert.deepEqual(kinds(disk, key('enter')), ['probe']);
  assert.deepEqual(kinds(reviewed(), { kind: 'armed' }, key('enter')), ['write']);
});

test('a key that was typed ahead does not begin to write', () => {
  assert.deepEqual(kinds(reviewed(), key('enter')), []);
  assert.equal(after(reviewed(), key('enter')).mode.kind, 'review');
});

test('a list of images that comes late takes nothing away from what is looked at', () => {
  const failed = { kind: 'failed' as const, rows: [], notes: ['The server is away.'] };
  const late = after(reviewed(), { kind: 'images', source: folder, listing: failed }, { kind: 'armed' });
  assert.equal(late.image?.name, 'alpine.img');
  const writing = after(late, key('enter'));
  assert.equal(writing.mode.kind, 'writing');
  assert.equal(writing.image?.name, 'alpine.img', 'else nothing would be written, and nothing would end');
  // Back among the panes, it is told.
  const back = after(late, key('escape'), { kind: 'images', source: folder, listing: failed });
  assert.equal(back.image, null);
});

test('nothing is written but from the review, after it was armed, and what was refused never is', () => {
  const run = fc.property(fc.array(events, { maxLength: 80 }), fc.boolean(), (happened, readOnly) => {
    let state = firstState({ ...setting, readOnly: readOnly ? 'Read-only mode.' : null }, folder);
    for (const event of happened) {
      const before = state;
      const next = step(state, event);
      state = next.state;
      for (const effect of next.effects) {
        if (effect.kind === 'write') {
          assert.ok(before.mode.kind === 'review' && before.mode.armed);
          assert.deepEqual(before.mode.review.refusals, []);
          assert.equal(before.setting.readOnly, null);
          assert.ok(before.image && before.disk);
        }
        if (effect.kind === 'probe') assert.deepEqual(effect.disk.refusals, []);
        if (effect.kind === 'quit') assert.notEqual(before.mode.kind, 'writing');
      }
    }
  });
  fc.assert(run, { numRuns: 500 });
});

test('only keys that the screen names do anything, but for text where text is typed', () => {
  const run = fc.property(fc.array(events, { maxLength: 60 }), events, (happened, last) => {
    if (last.kind !== 'key' || last.key.kind === 'position') return;
    const state = after(firstState(setting, folder), ...happened);
    const name = last.key.kind === 'text' ? last.key.text : last.key.name;
    if (bindingsOf(state).some(({ keys }) => keys.includes(name))) return;
    const typing = state.mode.kind === 'filter' || state.mode.kind === 'source';
    if (typing && last.key.kind === 'text') return;
    const next = step(state, last);
    assert.deepEqual(next.effects, []);
    assert.deepEqual({ ...next.state, message: null }, { ...state, message: null });
  });
  fc.assert(run, { numRuns: 500 });
});

test('no key means two things at once', () => {
  const run = fc.property(fc.array(events, { maxLength: 60 }), fc.boolean(), (happened, live) => {
    const keys = bindingsOf(after(firstState({ ...setting, live }, folder), ...happened)).flatMap(
      (each) => each.keys,
    );
    assert.equal(new Set(keys).size, keys.length, keys.join(' '));
  });
  fc.assert(run, { numRuns: 300 });
});

test('the cursors stay within the lists', () => {
  const run = fc.property(fc.array(events, { maxLength: 60 }), (happened) => {
    const state = after(firstState(setting, folder), ...happened);
    assert.ok(state.imageAt >= 0 && (state.imageAt === 0 || state.imageAt < state.images.rows.length));
    assert.ok(state.diskAt >= 0 && (state.diskAt === 0 || state.diskAt < state.disks.rows.length));
  });
  fc.assert(run);
});

test('"f" takes what is under the cursors where nothing is picked', () => {
  assert.deepEqual(kinds(picking(), press('f')), ['probe']);
});

test('a disk that cannot be written is not picked, and the reason is told', () => {
  const state = after(picking(), key('enter'), key('up'), key('enter'));
  assert.equal(state.disk, null);
  assert.match(state.message?.text ?? '', /is the disk this system runs from/);
  const big = after(picking(), key('end'), key('enter'), key('enter'));
  assert.equal(big.disk, null);
  assert.match(big.message?.text ?? '', /64\.0 GB|64000000000/);
});

test('Esc takes back one thing after another: the filter, the disk, the image', () => {
  const both = after(picking(), press('/'), press('a'), key('enter'), key('enter'), key('enter'));
  assert.ok(both.image && both.disk && both.filter === 'a');
  const [one, two, three] = [
    after(both, key('escape')),
    after(both, key('escape'), key('escape')),
    after(both, key('escape'), key('escape'), key('backspace')),
  ];
  assert.deepEqual([one.filter, one.disk?.path], ['', '/dev/sdb']);
  assert.deepEqual([two.disk, two.focus], [null, 'disks']);
  assert.deepEqual([three.image, three.focus], [null, 'images']);
});

test('a disk that goes away, or is another one under the same path, is not picked any more', () => {
  const state = after(picking(), key('enter'), key('enter'));
  const other = [systemDisk, diskRow('/dev/sdb', { diskseq: 8 })];
  const next = after(state, { kind: 'disks', listing: { kind: 'there', rows: other, notes: [] } });
  assert.equal(next.disk, null);
  assert.equal(next.focus, 'disks');
  assert.match(next.message?.text ?? '', /\/dev\/sdb is gone, or is another disk now/);
});

test('leaving the review lets go of the image, and a look that ends too late is dropped', () => {
  assert.deepEqual(kinds(reviewed(), key('escape')), ['drop']);
  assert.deepEqual(kinds(picking(), { kind: 'probed', review }), ['drop']);
});

test('cancelling asks first; verification is skipped by one key', () => {
  const writing = after(reviewed(), { kind: 'armed' }, key('enter'));
  assert.equal(writing.mode.kind, 'writing');
  assert.deepEqual(kinds(writing, press('c')), []);
  assert.deepEqual(kinds(writing, press('c'), press('n')), []);
  assert.deepEqual(kinds(writing, press('c'), press('y')), ['cancel']);
  assert.deepEqual(kinds(writing, key('ctrl-c'), key('ctrl-c')), ['cancel'], 'Ctrl+C twice');
  assert.deepEqual(kinds(writing, press('v')), ['skip-verification']);
  assert.deepEqual(kinds(writing, press('v'), press('v')), []);
  assert.deepEqual(kinds(writing, press('q')), []);
});

test('a reboot is asked for, but after a flash of a machine that was booted for it', () => {
  assert.deepEqual(kinds(picking(), press('R')), []);
  assert.deepEqual(kinds(picking(), press('R'), press('n')), []);
  assert.deepEqual(kinds(picking(), press('R'), press('y')), ['reboot']);
  const done = (live: boolean): State => {
    const { mode } = after(reviewed(), { kind: 'armed' }, key('enter'));
    const flash = mode.kind === 'writing' ? { ...mode.flash, outcome: 'done' as const } : assert.fail();
    return { ...picking({ live }), mode: { kind: 'result', flash, notes: [] } };
  };
  assert.deepEqual(kinds(done(true), key('enter')), ['reboot']);
  assert.deepEqual(kinds(done(false), press('R')), [], 'it asks');
  assert.equal(
    after(done(false), key('enter')).mode.kind,
    'pick',
    'Enter never reboots a machine that works',
  );
});

test('another source empties the list; an address without a scheme is one; nothing is the folder again', () => {
  const type = (text: string) => [press('s'), key('ctrl-u'), ...[...text].map(press), key('enter')];
  const at = (text: string) => after(picking(), ...type(text));
  const server = at('10.0.0.1:8080');
  assert.deepEqual(server.source, {
    kind: 'server',
    address: 'http://10.0.0.1:8080',
    shown: 'http://10.0.0.1:8080',
  });
  assert.deepEqual([server.image, server.images.kind, server.focus], [null, 'waiting', 'images']);
  assert.deepEqual(at('/srv/images').source, { kind: 'folder', path: '/srv/images' });
  assert.deepEqual(at('').source, folder);
  const secret = at('https://me:secret@host/');
  assert.deepEqual(secret.source, {
    kind: 'server',
    address: 'https://me:secret@host',
    shown: 'https://host',
  });
  assert.equal(at('ftp://host').mode.kind, 'source', 'what is none stays to be mended');
  assert.match(at('ftp://host').message?.text ?? '', /http or https/);
  const late = after(server, {
    kind: 'images',
    source: folder,
    listing: { kind: 'there', rows: [], notes: ['late'] },
  });
  assert.equal(late.images.kind, 'waiting', 'the list of the source before comes too late');
});

test('a message goes by itself unless it is a problem, and a newer one is not taken away by an older one', () => {
  const one = step(picking(), { kind: 'message', message: { text: 'a', tone: 'plain', sticky: false } });
  assert.deepEqual(one.effects, [{ kind: 'expire', count: 1 }]);
  const two = after(one.state, { kind: 'message', message: { text: 'b', tone: 'bad', sticky: true } });
  assert.equal(after(two, { kind: 'message-over', count: 1 }).message?.text, 'b');
  assert.equal(after(two, key('down')).message, null);
});

test('an engine that ended without a result is told as failed', () => {
  const writing = after(reviewed(), { kind: 'armed' }, key('enter'));
  const found = failure('SOURCE_UNREACHABLE', { url: 'http://h/a', problem: 'nobody' }).report();
  const { mode } = after(writing, { kind: 'ended', notes: [], failure: found });
  assert.ok(mode.kind === 'result');
  assert.equal(mode.flash.outcome, 'failed');
  assert.match(mode.notes.join(' '), /nobody/);
});
