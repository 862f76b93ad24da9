/** The media of a release, built from the same commit as everything else in it. */
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { buildPi, piTools } from '../media/rpi.ts';
import { buildServer, serverTools } from '../media/server.ts';
import { missingTools } from '../media/tools.ts';
import { buildStick, stickTools } from '../media/usb.ts';
import type { Architecture } from '../pack/foreign.ts';
import { root } from './version.ts';

interface Medium {
  /** Name of the packed image, without `.zst`. */
  readonly name: string;
  readonly architecture: Architecture;
  readonly tools: readonly string[];
  /** Whether the files of its system belong to root, who alone can lay them. */
  readonly byRoot: boolean;
  readonly build: (options: {
    readonly to: string;
    readonly cache: string;
    readonly level: number;
    readonly say: (text: string) => void;
  }) => Promise<{ readonly image: string; readonly packed: string }>;
}

const media: readonly Medium[] = [
  {
    ...{ name: 'bty-usb-x86_64.img', architecture: 'x64', tools: stickTools, byRoot: false },
    build: (options) => buildStick({ ...options, firmware: false }),
  },
  {
    ...{ name: 'bty-server-x86_64.img', architecture: 'x64', tools: serverTools, byRoot: true },
    build: (options) => buildServer({ ...options, refresh: false }),
  },
  {
    ...{ name: 'bty-server-rpi-arm64.img', architecture: 'arm64', tools: piTools, byRoot: true },
    build: (options) => buildPi({ ...options, refresh: false }),
  },
];

export interface MediaOptions {
  readonly folder: string;
  readonly architectures: readonly Architecture[];
  /** Level of zstd. */
  readonly level: number;
  /** Whether the builder is root. */
  readonly isRoot: boolean;
  readonly say: (text: string) => void;
}

/** Builds into `folder` what can be built here, says what cannot and why, and resolves the names of the packed images. */
export async function makeMedia(options: MediaOptions): Promise<readonly string[]> {
  const { folder, architectures, level, isRoot, say } = options;
  const names: string[] = [];
  for (const { name, architecture, tools, byRoot, build } of media) {
    if (!architectures.includes(architecture)) continue;
    const rights = byRoot && !isRoot ? 'its files belong to root: run it with sudo' : null;
    const missing = rights ?? missingTools(tools);
    if (missing !== null) {
      say(`Left out: ${name}.zst: ${missing}`);
      continue;
    }
    const { image, packed } = await build({ to: folder, cache: join(root, '.cache', 'live'), level, say });
    await rm(image);
    // The digests of a release stand in one list.
    await rm(`${packed}.sha256`);
    names.push(basename(packed));
  }
  return names;
}
