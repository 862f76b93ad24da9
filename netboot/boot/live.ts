/** Which live systems are installed: by the files in the boot directory, and what their manifests ask for. */
import { statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Type } from 'typebox';
import { Check } from 'typebox/value';
import { type LiveArchitecture, type LiveSystem, liveArchitectures } from './script.ts';

/** `bty-netboot-<architecture>.json`, beside the files; other keys are other people's. */
const Manifest = Type.Object({
  /** Kernel parameters besides those that the script always has. */
  command_line: Type.Optional(
    Type.Array(Type.String({ pattern: '^[A-Za-z0-9._:/@+,=%-]{1,256}$' }), { maxItems: 32 }),
  ),
});

/** Name of a file of a live system (bty-contract 3.9). */
export function liveFile(architecture: LiveArchitecture, ending: string): string {
  return `bty-netboot-${architecture}.${ending}`;
}

/** How long what was found is believed, in milliseconds: hundreds of machines ask in one moment. */
const believed = 1_000;

interface Look {
  readonly at: number;
  /** Time at which files came or went. */
  readonly changed: number;
  readonly found: Promise<readonly LiveSystem[]>;
}

export class LiveSystems {
  readonly #folder: string;
  #last: Look | null = null;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Installed ones, x86_64 first. */
  async installed(): Promise<readonly LiveSystem[]> {
    const at = performance.now();
    const changed = statSync(this.#folder, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const before = this.#last;
    if (before !== null && at - before.at <= believed && changed === before.changed) return before.found;
    const look = Promise.all(liveArchitectures.map((name) => this.#look(name)));
    const last = { at, changed, found: look.then((all) => all.filter((one) => one !== null)) };
    this.#last = last;
    const found = await last.found;
    // Where files just came, the next may come within one tick of the file system's clock, or be written still.
    if (found.length === 0 && this.#last === last && Date.now() - changed < believed) this.#last = null;
    return found;
  }

  async #look(architecture: LiveArchitecture): Promise<LiveSystem | null> {
    const has = (ending: string) =>
      stat(join(this.#folder, liveFile(architecture, ending))).then(
        (found) => found.isFile() && found.size > 0,
        () => false,
      );
    const [kernel, initrd, squashfs] = await Promise.all([has('vmlinuz'), has('initrd'), has('squashfs')]);
    if (!kernel || !initrd) return null;
    return {
      architecture,
      kernel: liveFile(architecture, 'vmlinuz'),
      initrd: liveFile(architecture, 'initrd'),
      squashfs: squashfs ? liveFile(architecture, 'squashfs') : null,
      parameters: await this.#parameters(architecture),
    };
  }

  async #parameters(architecture: LiveArchitecture): Promise<readonly string[]> {
    try {
      const text = await readFile(join(this.#folder, liveFile(architecture, 'json')), 'utf8');
      const manifest: unknown = JSON.parse(text);
      return Check(Manifest, manifest) ? (manifest.command_line ?? []) : [];
    } catch {
      return [];
    }
  }
}
