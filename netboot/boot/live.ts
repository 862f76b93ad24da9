/** Which live systems are installed: by the files in the boot directory, and what their manifests ask for. */
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

/** How long a found live system is believed, in milliseconds: hundreds of machines ask in one moment. */
const believed = 1_000;

export class LiveSystems {
  readonly #folder: string;
  #last: { readonly at: number; readonly found: Promise<readonly LiveSystem[]> } | null = null;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Installed ones, x86_64 first. */
  async installed(): Promise<readonly LiveSystem[]> {
    const now = performance.now();
    if (this.#last !== null && now - this.#last.at <= believed) return this.#last.found;
    const look = Promise.all(liveArchitectures.map((name) => this.#look(name)));
    const last = { at: now, found: look.then((all) => all.filter((one) => one !== null)) };
    this.#last = last;
    const found = await last.found;
    // One that is installed in the next moment is not to be waited for.
    if (found.length === 0 && this.#last === last) this.#last = null;
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
