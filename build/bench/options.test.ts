import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFullRun, parseOptions } from './options.ts';

const parse = (...args: string[]) => parseOptions(args, ['raw', 'zst'], '/home/someone');

test('without options it is the full run', () => {
  const options = parse();
  assert.deepEqual(options.media, ['disk', 'tmpfs']);
  assert.equal(options.only, null);
  assert.ok(isFullRun(options));
});

test('whatever is smaller or left out makes it no full run', () => {
  for (const args of [
    ['--rounds', '4'],
    ['--size', '512'],
    ['--only', 'raw'],
    ['--medium', 'disk'],
    ['--bty', 'other'],
  ]) {
    assert.equal(isFullRun(parse(...args)), false, args.join(' '));
  }
  assert.ok(isFullRun(parse('--rounds', '9', '--work', 'here')));
});

test('paths start where the command was given', () => {
  assert.equal(parse('--work', 'here').work, '/home/someone/here');
  assert.equal(parse('--report', '/there').report, '/there');
});

test('what cannot be meant is told', () => {
  assert.throws(() => parse('--only', 'raw,lz9'), /no "lz9"; the groups are raw, zst/);
  assert.throws(() => parse('--rounds', '0'), /--rounds takes a whole number from 1/);
  assert.throws(() => parse('--size', '4G'), /--size takes/);
  assert.throws(() => parse('--medium', 'floppy'), /disk or tmpfs/);
  assert.throws(() => parse('--fast'), /--fast/);
});
