import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makeDeb, versionOf } from './deb.ts';
import { billOfMaterials, checksums } from './inventory.ts';
import { packApp } from './pack.ts';

/** `npm run app:pack`: the desktop app as a folder and as a Debian package, its checksums and bill of materials. */
const root = join(import.meta.dirname, '..', '..');
const output = join(root, 'dist', 'app');
const [program, appliance] = [join(root, 'dist', 'bin', 'bty'), join(root, 'dist', 'bin', 'bty-web')];

for (const path of [program, appliance]) {
  if (existsSync(path)) continue;
  execFileSync(process.execPath, [join(root, 'build', 'pack', 'build.ts'), basename(path)]);
}
const packed = await packApp({ output, program, appliance, debuggable: false });
const version = await versionOf(join(output, 'package.json'));
const deb = await makeDeb({ folder: packed.folder, icons: join(output, 'icons'), output, version });
const bill = join(output, 'bty.cdx.json');
await writeFile(bill, await billOfMaterials(root, packed.electron));
await writeFile(join(output, 'SHA256SUMS'), await checksums([deb, bill]));

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path);
  if (!found.isDirectory()) return found.size;
  const sizes = await Promise.all((await readdir(path)).map((name) => sizeOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
const parts = [
  packed.folder,
  join(packed.folder, 'resources', 'bty'),
  join(packed.folder, 'resources', 'bty-web'),
  join(packed.folder, 'resources', 'app.asar'),
  deb,
];
for (const path of parts) {
  process.stdout.write(
    `${((await sizeOf(path)) / 1e6).toFixed(1).padStart(7)} MB  ${path.slice(root.length + 1)}\n`,
  );
}
process.stdout.write(
  `Electron ${packed.electron}; left out: languages of Electron but English and German.\n`,
);
