import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CommandPath, commandPaths, commandSpec, flagOf, type Values } from './grammar.ts';
import { help, usage } from './help.ts';
import { editDistance, nearest } from './nearest.ts';
import { parse } from './parse.ts';

function values<Path extends CommandPath>(path: Path, ...rest: string[]): Values<Path> {
  const parsed = parse([...path.split(' '), ...rest]);
  if (parsed.kind !== 'run' || parsed.path !== path) assert.fail(JSON.stringify(parsed));
  return parsed.values as Values<Path>;
}

function problem(...words: string[]): string {
  const parsed = parse(words);
  if (parsed.kind !== 'misuse') assert.fail(JSON.stringify(parsed));
  return parsed.problem;
}

const flash = (...rest: string[]) =>
  values('flash', '--image', 'a.img', '--target', '/dev/x', '--yes', ...rest);
const flashProblem = (...rest: string[]) =>
  problem('flash', '--image', 'a.img', '--target', '/dev/x', '--yes', ...rest);

test('a flash has its defaults', () => {
  assert.deepEqual(flash(), {
    image: 'a.img',
    target: ['/dev/x'],
    virtualDisk: [],
    allowLoop: false,
    dryRun: false,
    yes: true,
    progress: 'text',
    json: false,
    verify: 'full',
    sha256: undefined,
    noHash: false,
    bmap: undefined,
    sparse: false,
    allowCut: false,
    expectSerial: undefined,
    expectSize: undefined,
    catalog: undefined,
  });
});

test('values are taken from the next word and from behind an equals sign', () => {
  const digest = 'AB'.repeat(32);
  const found = flash('--verify=written', '--progress', 'ndjson', '--sha256', digest, '--expect-size=512');
  assert.equal(found.verify, 'written');
  assert.equal(found.progress, 'ndjson');
  assert.equal(found.sha256, digest.toLowerCase());
  assert.equal(found.expectSize, 512);
  assert.equal(flash('--bmap=--odd=name').bmap, '--odd=name');
  assert.equal(values('bmap create', '-ofile', 'image').output, 'file');
  assert.equal(values('bmap create', 'image', '-o', 'file').output, 'file');
});

test('targets may be repeated, other values may not', () => {
  assert.deepEqual(flash('--target', '/dev/y', '--virtual-disk=z').target, ['/dev/x', '/dev/y']);
  assert.match(flashProblem('--image', 'b.img'), /--image was given twice/);
  assert.equal(flash('--json', '--json').json, true);
});

test('a dash alone is a value and a positional, and everything after two dashes is positional', () => {
  assert.equal(values('flash', '--image', '-', '--virtual-disk', 'd', '--dry-run').image, '-');
  assert.equal(values('inspect image', '-').path, '-');
  assert.equal(values('inspect image', '--json', '--', '--json').path, '--json');
});

test('an option without its value is misuse, also when the next word is an option', () => {
  assert.match(problem('flash', '--yes', '--image'), /--image needs a value/);
  assert.match(problem('flash', '--image', '--yes', '--target', 'x'), /--image needs a value/);
  assert.match(problem('flash', '--image=', '--yes'), /empty/);
  assert.match(problem('inspect', 'image', ''), /must not be empty/);
  assert.match(flashProblem('--allow-loop=yes'), /takes no value/);
});

test('a flash without image, without target, or without --dry-run and --yes is misuse', () => {
  assert.match(problem('flash', '--target', 'x', '--yes'), /--image SRC is missing/);
  assert.match(problem('flash', '--image', 'x', '--yes'), /--target DEV/);
  const hint = problem('flash', '--image', 'x', '--target', 'y');
  assert.match(hint, /--dry-run/);
  assert.match(hint, /--yes/);
  const both = values('flash', '--image', 'x', '--target', 'y', '--yes', '--dry-run');
  assert.deepEqual([both.yes, both.dryRun], [true, true]);
});

test('values of the wrong kind are misuse', () => {
  assert.match(flashProblem('--progress', 'loud'), /text, ndjson, none, not "loud"/);
  assert.match(flashProblem('--sha256', 'abc'), /64 hexadecimal digits/);
  for (const size of ['-1', '1G', '1e3', '0x10', '99999999999999999999']) {
    assert.match(flashProblem(`--expect-size=${size}`), /number of bytes/);
  }
  assert.match(flashProblem('--sha256', 'ab'.repeat(32), '--no-hash'), /exclude/);
});

test('unknown words name the nearest known one', () => {
  assert.match(flashProblem('--tarqet', 'x'), /did you mean "--target"/);
  assert.match(flashProblem('--verif=full'), /did you mean "--verify"/);
  assert.match(problem('flsah'), /did you mean "flash"/);
  assert.match(problem('lits', 'disks'), /did you mean "list"/);
  assert.match(problem('list', 'disk'), /did you mean "bty list disks"/);
  assert.match(problem('help', 'list', 'dsiks'), /did you mean "list disks"/);
  assert.match(problem('frobnicate'), /There is no command "frobnicate"\.$/);
});

test('words that a terminal would obey are shown escaped', () => {
  assert.ok(!problem('\u001b[31m').includes('\u001b'));
  assert.ok(!problem('list', 'images', 'a\nb').includes('\n'));
});

test('words that are too many or missing are misuse', () => {
  assert.match(problem('inspect', 'image'), /PATH is missing/);
  assert.match(problem('inspect', 'image', 'a', 'b'), /"b" is one word too many/);
  assert.match(problem('list', 'images', 'dir'), /one word too many/);
});

test('help and version are found in each place', () => {
  assert.deepEqual(parse(['--version']), { kind: 'version' });
  assert.deepEqual(parse(['-h']), { kind: 'help', words: [] });
  assert.deepEqual(parse(['help']), { kind: 'help', words: [] });
  assert.deepEqual(parse(['list', '--help']), { kind: 'help', words: ['list'] });
  assert.deepEqual(parse(['help', 'catalog', 'fetch']), { kind: 'help', words: ['catalog', 'fetch'] });
  assert.deepEqual(parse(['flash', '--yes', '--help']), { kind: 'help', words: ['flash'] });
});

test('misuse of nothing, of a group and of a command tells which usage to show', () => {
  for (const [args, words] of [
    [[], []],
    [['list'], ['list']],
    [['catalog', '--json'], ['catalog']],
    [
      ['bmap', 'create'],
      ['bmap', 'create'],
    ],
  ] as const) {
    const parsed = parse(args);
    assert.equal(parsed.kind, 'misuse');
    assert.deepEqual('words' in parsed && parsed.words, words);
    assert.match(usage(words), /^usage: bty/);
  }
});

test('names of object prototypes are not commands, groups or options', () => {
  for (const word of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
    assert.equal(parse([word, word]).kind, 'misuse');
    assert.equal(parse(['list', word]).kind, 'misuse');
    assert.equal(parse(['help', word]).kind, 'misuse');
    assert.match(flashProblem(`--${word}`), /There is no option/);
  }
});

test('any words parse to a result and never throw', () => {
  const words = [
    'list',
    'disks',
    'flash',
    '--json',
    '--',
    '-',
    '-o',
    '--image',
    '--target=x',
    '--sha256',
    'help',
    '',
  ];
  const word = fc.oneof(fc.constantFrom(...words), fc.string());
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (args) => {
      assert.ok(['run', 'help', 'version', 'misuse'].includes(parse(args).kind));
    }),
  );
});

test('every command has help that names each of its options and fits 80 columns', () => {
  for (const path of commandPaths) {
    const text = help(path.split(' '));
    const spec = commandSpec(path);
    for (const key of Object.keys(spec.options)) assert.ok(text.includes(flagOf(key)), `${path} ${key}`);
    const prose = text.split('\nexamples:')[0] ?? '';
    for (const line of prose.split('\n')) assert.ok(line.length <= 80, line);
    assert.equal(help([]).includes(`\n  ${path} `), !spec.hidden, path);
  }
});

test('the rules of each command name options that it has', () => {
  for (const path of commandPaths) {
    const spec = commandSpec(path);
    const keys = [...(spec.anyOf ?? []).flatMap((rule) => rule.options), ...(spec.conflicts ?? []).flat()];
    for (const key of keys) assert.ok(Object.hasOwn(spec.options, key), `${path} ${key}`);
    for (const key of Object.keys(spec.positionals)) assert.ok(!Object.hasOwn(spec.options, key));
  }
});

test('every command that a person is shown accepts --json, but the one that is a screen', () => {
  for (const path of commandPaths) {
    const { hidden, options } = commandSpec(path);
    if (path === 'tui') continue;
    assert.ok(hidden || Object.hasOwn(options, 'json'), path);
  }
});

test('the distance counts a swap of neighbours as one', () => {
  assert.equal(editDistance('lits', 'list'), 1);
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(nearest('zzz', ['list', 'flash']), null);
});
