// Runs on whatever Node.js (20 or newer) the machine has: installs the pinned packages when they are
// missing or stale, then runs the named script on the Node.js 24 that came with them.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [purpose, script, ...rest] = process.argv.slice(2);

function stop(sentence) {
  process.stderr.write(`bty: ${sentence}\n`);
  process.exit(1);
}

if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
  stop(
    `this checkout builds and runs on Linux x64 or arm64; this machine is ${process.platform} ${process.arch}. ` +
      'Use a Linux machine or a virtual machine.',
  );
}
if (Number(process.versions.node.split('.')[0]) < 20) {
  stop(`Node.js 20 or newer is needed; this is ${process.versions.node}. Install a current Node.js.`);
}

const runtime = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
const stamp = join(root, 'node_modules', '.bty-installed');
const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');
const installed = existsSync(stamp) && existsSync(runtime) && readFileSync(stamp, 'utf8') === lock;

if (!installed) {
  process.stderr.write(`bty: installing the pinned packages (once) for "${purpose}" ...\n`);
  const npm = process.env.npm_execpath;
  const command = npm ? [process.execPath, npm] : ['npm'];
  const result = spawnSync(
    command[0],
    [...command.slice(1), 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: root,
      stdio: ['ignore', 2, 2],
    },
  );
  if (result.status !== 0)
    stop('npm ci failed; its own message stands above. Check the network and try again.');
  if (!existsSync(runtime)) {
    stop('npm ci left out the bundled Node.js; run it without --omit=optional.');
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lock);
}

// npm marks its children with npm_* variables; a nested npm would obey them, so only ours go on.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')));
const result = spawnSync(runtime, ['--disable-warning=ExperimentalWarning', join(root, script), ...rest], {
  cwd: process.env.INIT_CWD ?? process.cwd(),
  stdio: 'inherit',
  env,
});
if (result.error) stop(`the bundled Node.js could not be started: ${result.error.message}`);
process.exit(result.status ?? 1);
