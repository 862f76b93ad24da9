import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Failure } from '../../shared/failure.ts';
import { elevation } from './elevate.ts';
import { childEnvironment } from './environment.ts';
import { Images } from './images.ts';
import { openingOfLink, openingOfWords } from './opening.ts';
import { ask, type Program, programsOf } from './program.ts';
import { Store } from './store.ts';
import { setVirtualDisk } from './virtual.ts';

const checkout = join(import.meta.dirname, '..', '..');

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'bty-main-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
/** A program of one line. */
const scripted = (script: string): Program => ({ path: '/bin/sh', before: ['-c', script, 'sh'] });

test('a link may name an image on a server, and nothing else', () => {
  const link = (image: string) => openingOfLink(`bty://flash?image=${encodeURIComponent(image)}`);
  assert.deepEqual(link('https://example.org/a.img'), { location: 'https://example.org/a.img', by: 'link' });
  for (const other of [
    '/etc/shadow',
    'file:///etc/shadow',
    'javascript:1',
    '',
    `https://e/${'a'.repeat(5000)}`,
  ]) {
    assert.equal(link(other), null, other);
  }
  for (const other of ['https://flash?image=https://e/', 'bty://wipe?image=https://e/', 'bty:', 'flash']) {
    assert.equal(openingOfLink(other), null, other);
  }
});

test('a word of the command line opens a file that is there', async (context) => {
  const folder = folderFor(context);
  writeFileSync(join(folder, 'a.img'), 'x');
  const words = ['--flag', 'missing.img', 'a.img'];
  assert.deepEqual(await openingOfWords(words, folder), { location: join(folder, 'a.img'), by: 'file' });
  assert.equal(await openingOfWords([folder], '/'), null);
});

test('programs that are started see nothing that changes how they run', () => {
  const given = {
    PATH: '/bin',
    HOME: '/h',
    LC_TIME: 'C',
    NODE_OPTIONS: '--inspect',
    LD_PRELOAD: 'x',
    ELECTRON_RUN_AS_NODE: '1',
  };
  assert.deepEqual(childEnvironment(given), { PATH: '/bin', HOME: '/h', LC_TIME: 'C' });
});

test('the program beside a packed app is used, whatever a checkout says', () => {
  assert.deepEqual(programsOf(true, '/opt/bty/resources', checkout), {
    bty: { path: '/opt/bty/resources/bty', before: [] },
    appliance: { path: '/opt/bty/resources/bty-web', before: [] },
  });
});

test('what bty complains about is passed on, and what is no answer is none', async () => {
  const { signal } = new AbortController();
  assert.deepEqual(await ask(scripted('echo "[1]"'), [], 'ask', signal), [1]);
  const told = (code: string, part: RegExp) => (error: unknown) =>
    error instanceof Failure && error.code === code && part.test(error.message);
  const complaining = scripted('echo "bty: It is gone." >&2; exit 1');
  await assert.rejects(
    ask(complaining, [], 'ask', signal),
    told('PROGRAM_FAILED', /Could not ask: It is gone\./),
  );
  await assert.rejects(ask(scripted('true'), [], 'ask', signal), told('PROGRAM_FAILED', /said nothing/));
  await assert.rejects(
    ask({ path: '/nowhere', before: [] }, [], 'ask', signal),
    told('PROGRAM_MISSING', /ENOENT/),
  );
});

test('a look at an image ends when the next one begins', async () => {
  const images = new Images(scripted('exec sleep 60'));
  const first = images.inspect({ location: '/a' });
  const refused = assert.rejects(
    first,
    (error: unknown) => error instanceof Failure && error.code === 'CANCELLED',
  );
  images.forget();
  await refused;
  assert.equal(images.chosen, null);
});

test('a catalog of a server names no file of this machine', async () => {
  const sha256 = 'a'.repeat(64);
  const rest = { sha256, format: null, size_bytes: null, description: null };
  const entries = ['x.img', '/x.img', 'file:///etc/shadow', 'https://other/x.img'].map((src) => ({
    name: src,
    src,
    ...rest,
  }));
  const printed = JSON.stringify({ command: 'catalog-list', entries });
  const images = new Images(scripted(`cat <<'END'\n${printed}\nEND`));
  const locations = async (catalog: string) =>
    (await images.catalog(catalog)).map(({ location }) => location);
  assert.deepEqual(await locations('https://e/c/catalog.toml'), [
    'https://e/c/x.img',
    'https://e/x.img',
    'https://other/x.img',
  ]);
  assert.deepEqual(await locations('/c/catalog.toml'), [
    '/c/x.img',
    '/x.img',
    '/etc/shadow',
    'https://other/x.img',
  ]);
});

test('what is stored survives, and what is broken is as if it were not there', async (context) => {
  const path = join(folderFor(context), 'deep', 'store.json');
  const parse = (stored: unknown) => (typeof stored === 'number' ? stored : 0);
  const store = await Store.open(path, parse);
  await Promise.all([store.set(1), store.set(2)]);
  assert.equal((await Store.open(path, parse)).value, 2);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  writeFileSync(path, '{');
  assert.equal((await Store.open(path, parse)).value, 0);
});

test('the disk to try with takes no room, and goes when it is not wanted', async (context) => {
  const path = join(folderFor(context), 'virtual.img');
  assert.equal(await setVirtualDisk(path, 1 << 30), path);
  assert.deepEqual([statSync(path).size, statSync(path).blocks], [1 << 30, 0]);
  assert.equal(await setVirtualDisk(path, null), null);
  assert.throws(() => readFileSync(path));
});

test('rights are asked for only where they are needed', () => {
  const program = { path: '/opt/bty/resources/bty', before: [] };
  assert.deepEqual(elevation(program, false), { kind: 'plain', path: program.path, args: ['helper'] });
});
