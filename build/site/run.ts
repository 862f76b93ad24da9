import { rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { root, version } from '../release/version.ts';
import { buildSite } from './build.ts';

/** `npm run site`: the documentation as a static site in dist/site, to be opened from there or served. */
const to = join(root, 'dist', 'site');
process.chdir(root);
await rm(to, { recursive: true, force: true });
await buildSite(root, to, version);
process.stdout.write(`${relative(root, join(to, 'index.html'))}\n`);
