import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildLive, megabytes } from './build.ts';

const root = join(import.meta.dirname, '..', '..');

const { values } = parseArgs({
  options: {
    to: { type: 'string', default: join(root, 'dist', 'live') },
    arch: { type: 'string', default: process.arch === 'arm64' ? 'arm64' : 'amd64' },
    firmware: { type: 'boolean', default: false },
    'kernel-suite': { type: 'string' },
    fast: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(`Builds the live system from packages of Debian and this checkout.

  --to DIR             where to put vmlinuz, initrd, manifest.json, sha256 (dist/live)
  --arch amd64|arm64   for which machines
  --firmware           add vendor firmware of network cards (not free: see licences/)
  --kernel-suite NAME  take the kernel from another suite of the same archive
  --fast               pack quickly instead of tightly
`);
} else if (values.arch !== 'amd64' && values.arch !== 'arm64') {
  process.stderr.write(`--arch is amd64 or arm64, not ${values.arch}\n`);
  process.exitCode = 2;
} else {
  const manifest = await buildLive({
    to: values.to,
    cache: join(root, '.cache', 'live'),
    architecture: values.arch,
    firmware: values.firmware,
    kernelSuite: values['kernel-suite'],
    level: values.fast ? 3 : 19,
    say: (text) => process.stdout.write(`${text}\n`),
  });
  for (const { name, bytes, packed_bytes } of manifest.layers)
    process.stdout.write(`${name}: ${megabytes(bytes)}, packed ${megabytes(packed_bytes)}\n`);
  for (const { name, size_bytes, sha256 } of manifest.files)
    process.stdout.write(`${join(values.to, name)}: ${megabytes(size_bytes)}, ${sha256}\n`);
}
