/** `npm run media:usb`, `media:server-x86`, `media:server-rpi`. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildPi, piTools } from './rpi.ts';
import { buildServer, serverTools } from './server.ts';
import { missingTools } from './tools.ts';
import { buildStick, megabytes, stickTools } from './usb.ts';
import { serverWord } from './words.ts';

const root = join(import.meta.dirname, '..', '..');
const say = (text: string) => process.stdout.write(`${text}\n`);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    to: { type: 'string', default: join(root, 'dist', 'media') },
    server: { type: 'string' },
    firmware: { type: 'boolean', default: false },
    fast: { type: 'boolean', default: false },
    refresh: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const [what] = positionals;

async function main(): Promise<void> {
  if (values.help || what === undefined) {
    say(`Builds media from packages of Debian and this checkout: usb, server-x86, server-rpi

  --to DIR     where to put them (dist/media)
  --server URL the stick begins with the catalog of that server
  --firmware   add vendor firmware of network cards (not free: see the licences on the medium)
  --fast       pack quickly instead of tightly
  --refresh    fetch Debian anew for an appliance, instead of the one that is kept from before`);
    return;
  }
  const common = { to: values.to, cache: join(root, '.cache', 'live'), firmware: values.firmware, say };
  if (what === 'usb') {
    const words = values.server === undefined ? [] : [serverWord(values.server)];
    needs(stickTools);
    const built = await buildStick({ ...common, words, level: values.fast ? 3 : 19 });
    say(`${built.packed}: ${megabytes(built.packedBytes)} (${megabytes(built.bytes)} unpacked)`);
    say(`sha256 ${built.sha256}`);
  } else if (what === 'server-x86' || what === 'server-rpi') {
    const pi = what === 'server-rpi';
    needs(pi ? piTools : serverTools);
    const { to, cache } = common;
    const { refresh } = values;
    const build = pi ? buildPi : buildServer;
    const built = await build({ to, cache, refresh, say, level: values.fast ? 3 : 19 });
    say(`${built.packed}: ${megabytes(built.packedBytes)} (${megabytes(built.bytes)} unpacked)`);
    say(`sha256 ${built.sha256}`);
  } else throw new Error(`there is no medium "${what}"`);
}

function needs(tools: readonly string[]): void {
  const missing = missingTools(tools);
  if (missing !== null) throw new Error(missing);
}

main().catch((error: unknown) => {
  process.stderr.write(`bty: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
