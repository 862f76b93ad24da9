/** The one table of boot files: what TFTP serves, and what HTTP serves besides the boot directory. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileOfBytes, fileOfPath, type TftpFile } from '../tftp/file.ts';
import { fileName } from '../tftp/name.ts';
import { plainFiles, type Survey, survey } from './binaries.ts';
import { buildMissingLocalBoots } from './localboot.ts';
import { bootstrapScript } from './script.ts';

export interface BootFilesOptions {
  readonly bootDir: string;
  /** Directory with builds of iPXE, null where there is none besides the boot directory. */
  readonly ipxeDir: string | null;
  readonly clock: () => number;
}

/** How long the directories are believed, in milliseconds. */
const believed = 2_000;
/** Files up to this size are kept in memory, up to that sum. */
const mostKept = 16 << 20;
const mostKeptTogether = 64 << 20;

interface Table {
  readonly at: number;
  readonly survey: Survey;
  /** Paths by name, and names by their lower-case form. */
  readonly paths: ReadonlyMap<string, string>;
  readonly lower: ReadonlyMap<string, string>;
}

interface Kept {
  readonly changed: number;
  readonly size: number;
  readonly bytes: Promise<Uint8Array>;
}

/** Where loaders that are built here lie. */
export function builtFolder(bootDir: string): string {
  return join(bootDir, 'built');
}

export class BootFiles {
  readonly #options: BootFilesOptions;
  readonly #kept = new Map<string, Kept>();
  #table: Table | null = null;

  constructor(options: BootFilesOptions) {
    this.#options = options;
  }

  /** What is there and what is missing. */
  survey(): Survey {
    return this.#look().survey;
  }

  /** Path of a boot program that lies outside of the boot directory or is built here; null when there is none. */
  program(name: string): string | null {
    return this.#look().survey.found.get(name)?.path ?? null;
  }

  /** Whether TFTP has a file of that name. */
  has(name: string): boolean {
    return this.#pathOf(name) !== null;
  }

  /**
   * The file of a name for a machine. `base` is the address under which it reaches HTTP. Scripts exist in every
   * directory, since iPXE looks for `autoexec.ipxe` beside the file it was loaded from.
   */
  async open(name: string, base: string): Promise<TftpFile | null> {
    const script = scriptOf(name, base);
    if (script !== null) return fileOfBytes(Buffer.from(script, 'latin1'));
    const path = this.#pathOf(name);
    return path === null ? null : this.#read(path);
  }

  /** Builds the loaders for local boot that are missing and can be built; answers their names. */
  async build(): Promise<readonly string[]> {
    const { found } = this.survey();
    const made = await buildMissingLocalBoots(builtFolder(this.#options.bootDir), (name) => !found.has(name));
    if (made.length > 0) this.#table = null;
    return made;
  }

  #pathOf(name: string): string | null {
    const { paths, lower } = this.#look();
    const known = fileName(name);
    if (known === null) return null;
    return paths.get(known) ?? paths.get(lower.get(known.toLowerCase()) ?? '') ?? null;
  }

  #look(): Table {
    const { bootDir, ipxeDir, clock } = this.#options;
    const now = clock();
    if (this.#table && Math.abs(now - this.#table.at) < believed) return this.#table;
    const operator = ipxeDir === null ? [bootDir] : [bootDir, ipxeDir];
    const found = survey({ operator, built: builtFolder(bootDir) });
    const paths = new Map<string, string>(plainFiles(bootDir));
    for (const [name, { path }] of found.found) paths.set(name, path);
    const lower = new Map([...paths.keys()].map((name) => [name.toLowerCase(), name]));
    this.#table = { at: now, survey: found, paths, lower };
    return this.#table;
  }

  async #read(path: string): Promise<TftpFile | null> {
    const file = await fileOfPath(path).catch(() => null);
    if (file === null || file.size > mostKept) return file;
    const { changed } = file;
    const kept = this.#kept.get(path);
    if (kept && kept.changed === changed && kept.size === file.size) {
      file.close();
      return fileOfBytes(await kept.bytes);
    }
    file.close();
    const bytes: Promise<Uint8Array> = readFile(path);
    this.#kept.delete(path);
    this.#kept.set(path, { changed, size: file.size, bytes });
    bytes.catch(() => this.#kept.delete(path));
    this.#forget();
    return fileOfBytes(await bytes);
  }

  #forget(): void {
    let sum = 0;
    for (const { size } of this.#kept.values()) sum += size;
    for (const [path, { size }] of this.#kept) {
      if (sum <= mostKeptTogether) return;
      this.#kept.delete(path);
      sum -= size;
    }
  }
}

/** Scripts that TFTP serves, for an iPXE that knows no HTTP address yet. */
export const tftpScripts = ['autoexec.ipxe', 'bootstrap.ipxe'] as const;

export function isTftpScript(name: string): boolean {
  return tftpScripts.some((script) => name === script || name.endsWith(`/${script}`));
}

function scriptOf(name: string, base: string): string | null {
  if (!isTftpScript(name)) return null;
  const [shebang = '#!ipxe', ...lines] = bootstrapScript(base).split('\n');
  // iPXE 2 runs autoexec.ipxe before it has asked for an address of its own; the script needs one.
  return [shebang, `isset \${netX/ip} || dhcp || echo bty: no address`, ...lines].join('\n');
}
