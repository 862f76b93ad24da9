import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleApp } from './bundle.ts';
import { electronFiles } from './electron.ts';

/** `npm run app`: the desktop app from this checkout, with the engine from its sources. Arguments are handed on. */
const root = join(import.meta.dirname, '..', '..');
const bundle = join(root, 'dist', 'app', 'run', 'bundle');
const { folder, version } = await electronFiles();
const place = join(root, 'dist', 'app', 'run', version);

await bundleApp({ folder: bundle, minify: false });
if (!existsSync(join(place, 'electron'))) {
  await mkdir(join(place, '..'), { recursive: true });
  execFileSync('cp', ['-al', folder, place]);
}
// An Electron without an app of its own runs the one that lies in its resources.
const app = join(place, 'resources', 'app');
await rm(app, { recursive: true, force: true });
await symlink(bundle, app);
const manifest = { name: 'bty', main: 'main.cjs', version: '0.0.0-checkout' };
await writeFile(join(bundle, 'package.json'), JSON.stringify(manifest));

// Chromium has no sandbox for root, and says so instead of starting.
const flags = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
const child = spawn(join(place, 'electron'), [...flags, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, BTY_CHECKOUT: root },
});
child.once('exit', (code) => {
  process.exitCode = code ?? 1;
});
