// biome-ignore-all lint/suspicious/noTemplateCurlyInString: iPXE spells its settings like that.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse as parseToml } from 'smol-toml';
import { Failure } from '../../shared/failure.ts';
import { temporaryDirectory } from '../testing.ts';
import { parseFlags } from './flags.ts';
import { effective, help } from './help.ts';
import { loadConfig } from './load.ts';
import { flagOf, keyOf, settingNames, variableOf } from './settings.ts';

const load = (args: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
  loadConfig(parseFlags(args).flags, environment);
const failsWith = (code: string, text: RegExp) => (error: unknown) =>
  error instanceof Failure && error.code === code && text.test(error.message);

test('flags win over the environment, that over the file, that over the defaults, and each says where it is from', (context) => {
  const stateDir = temporaryDirectory(context);
  const file = join(stateDir, 'bty.toml');
  writeFileSync(
    file,
    'web_port = 1001\nimage_root = "/a"\nbulk_limit = 5\ntrusted_proxy = ["10.0.0.1", "10.0.0.2"]\n',
  );
  const { config, origins } = load(['--web-port', '1003', `--state-dir=${stateDir}`], {
    BTY_WEB_PORT: '1002',
    BTY_IMAGE_ROOT: '/b',
    BTY_WEB_HOST: '',
  });
  assert.deepEqual(
    [config.webPort, config.imageRoot, config.bulkLimit, config.webHost, config.bootDir],
    [1003, '/b', 5, '0.0.0.0', `${stateDir}/boot`],
  );
  assert.deepEqual(config.trustedProxy, ['10.0.0.1', '10.0.0.2']);
  assert.deepEqual(
    [origins.webPort, origins.imageRoot, origins.bulkLimit, origins.webHost],
    ['--web-port', 'BTY_IMAGE_ROOT', file, 'default'],
  );
});

test('the variables of the contract have its names and its defaults', () => {
  const { config } = load([]);
  const expected: Readonly<Record<string, unknown>> = {
    BTY_STATE_DIR: '/var/lib/bty',
    BTY_IMAGE_ROOT: '/var/lib/bty/images',
    BTY_BOOT_DIR: '/var/lib/bty/boot',
    BTY_WEB_HOST: '0.0.0.0',
    BTY_WEB_PORT: 8080,
    BTY_SESSION_SECRET: null,
    BTY_CATALOG_MAX_PARALLEL: 2,
    BTY_HASH_MAX_PARALLEL: 1,
    BTY_MAX_UPLOAD_BYTES: 200 * 1024 ** 3,
    BTY_TRUSTED_PROXY: [],
  };
  const byVariable = Object.fromEntries(settingNames.map((name) => [variableOf(name), config[name]]));
  for (const [variable, value] of Object.entries(expected))
    assert.deepEqual(byVariable[variable], value, variable);
  for (const variable of ['BTY_BOOT_RELEASE_REPO', 'BTY_CATALOG_FILE', 'BTY_CATALOG_CACHE_DIR'])
    assert.ok(variable in byVariable, variable);
});

test('a value that cannot be used is refused with its name, its origin and what is wrong', (context) => {
  const folder = temporaryDirectory(context);
  const file = join(folder, 'x.toml');
  const refused = (text: RegExp) => failsWith('SETTING_INVALID', text);
  assert.throws(() => load([], { BTY_WEB_PORT: 'abc' }), refused(/web_port \(from BTY_WEB_PORT\)/));
  assert.throws(() => load(['--web-host', 'nowhere']), refused(/no IP address/));
  for (const bad of ['10.0.0.1', 'http://a/b', 'http://a b', 'ftp://a', 'http://u@a', 'http://${x}'])
    assert.throws(() => load(['--public-url', bad]), refused(/no address like/), bad);
  assert.equal(load(['--public-url', 'http://10.0.0.1:8080/']).config.publicUrl, 'http://10.0.0.1:8080');
  assert.throws(() => load(['--discovery-policy', 'flash']), refused(/none of tui, inventory, local/));
  assert.throws(() => load(['--config', join(folder, 'none')]), refused(/ENOENT/));
  for (const [text, problem] of [
    ['web_prot = 1', /"web_prot", which is no setting/],
    ['[section]\nx = 1', /"section"/],
    ['web_port = ', /config/],
    ['web_port = {}', /neither text/],
  ] as const) {
    writeFileSync(file, text);
    assert.throws(() => load(['--config', file]), refused(problem), text);
  }
  assert.throws(() => parseFlags(['--nonsense']), failsWith('USAGE', /--nonsense/));
  assert.throws(() => parseFlags(['--web-port']), failsWith('USAGE', /needs a value/));
});

test('a switch needs no value, and can be denied', () => {
  assert.equal(load(['--tls-generated']).config.tlsGenerated, true);
  assert.equal(load(['--no-unauthenticated-done']).config.unauthenticatedDone, false);
  assert.equal(load([], { BTY_TLS_GENERATED: 'yes' }).config.tlsGenerated, true);
});

test('the help names every setting in all its forms', () => {
  const text = help();
  for (const name of settingNames)
    for (const form of [flagOf(name), variableOf(name), keyOf(name)]) assert.ok(text.includes(form), form);
});

test('what bty-web config prints is a bty.toml that means the same, without secrets', (context) => {
  const loaded = load([
    '--state-dir',
    temporaryDirectory(context),
    '--web-port',
    '1234',
    '--admin-password',
    'hidden',
  ]);
  const text = effective(loaded);
  assert.ok(!text.includes('hidden'));
  const table = parseToml(text);
  assert.equal(table.web_port, 1234);
  const file = join(temporaryDirectory(context), 'again.toml');
  writeFileSync(file, text);
  const again = loadConfig({ values: {}, configFile: file }, {});
  assert.deepEqual({ ...again.config, adminPassword: 'hidden' }, loaded.config);
});
