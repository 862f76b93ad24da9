/** The catalog's manifest on this machine (bty-contract 1.5), read again when it changes. */
import { open, rename } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, TomlError } from 'smol-toml';
import { type CatalogEntry, catalogBytes, checkCatalog } from '../../shared/catalog.ts';
import { failure } from '../../shared/failure.ts';
import { type FileState, openRegular, sameState } from '../http/content.ts';

export interface Manifest {
  readonly path: string;
  readonly entries: readonly CatalogEntry[];
}

/** What a manifest's `src` leads to: an address, or a file on this machine. */
export type Origin =
  | { readonly kind: 'http'; readonly url: string }
  | { readonly kind: 'file'; readonly path: string };

export class ManifestFile {
  readonly path: string;
  #last: { readonly state: FileState; readonly manifest: Manifest } | null = null;
  #problem: string | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** What was wrong with it the last time it was read, null when nothing was. */
  get problem(): string | null {
    return this.#problem;
  }

  /** The last one that could be read; null when there is none. For those who cannot wait. */
  get last(): Manifest | null {
    return this.#last?.manifest ?? null;
  }

  /** Null when there is no such file. Rejects with CATALOG_INVALID. */
  async read(): Promise<Manifest | null> {
    const opened = await openRegular(this.path);
    if (opened === null) {
      this.#last = null;
      this.#problem = null;
      return null;
    }
    try {
      const { state, handle } = opened;
      if (this.#last && sameState(this.#last.state, state)) return this.#last.manifest;
      try {
        if (state.size > catalogBytes) throw this.#invalid(`it is larger than ${catalogBytes} bytes`);
        const manifest = { path: this.path, entries: this.#parse(await handle.readFile()) };
        this.#last = { state, manifest };
        this.#problem = null;
        return manifest;
      } catch (error) {
        this.#problem = error instanceof Error ? error.message : String(error);
        throw error;
      }
    } finally {
      await opened.handle.close();
    }
  }

  /**
   * Puts `bytes` that somebody sent in its place. Rejects with CATALOG_INVALID, and then nothing has changed. What
   * lies on this machine only a manifest may name that was written on this machine: whoever may send one could read
   * every file that the appliance can.
   */
  async replace(bytes: Buffer): Promise<Manifest> {
    const entries = this.#parse(bytes);
    for (const entry of entries) {
      if (this.originOf(entry).kind === 'http') continue;
      const name = JSON.stringify(entry.name);
      throw this.#invalid(
        `the src of ${name} is a file; a manifest that is sent names http or https addresses`,
      );
    }
    const partial = `${this.path}.partial`;
    const file = await open(partial, 'w', 0o644);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, this.path);
    return { path: this.path, entries };
  }

  /** Throws CATALOG_INVALID for addresses of other kinds. */
  originOf(entry: CatalogEntry): Origin {
    const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(entry.src)?.[1]?.toLowerCase();
    if (scheme === 'http' || scheme === 'https') return { kind: 'http', url: entry.src };
    if (scheme === undefined) {
      return {
        kind: 'file',
        path: isAbsolute(entry.src) ? entry.src : resolve(dirname(this.path), entry.src),
      };
    }
    try {
      if (scheme === 'file') return { kind: 'file', path: fileURLToPath(entry.src) };
    } catch {
      // told below
    }
    throw this.#invalid(
      `the src of ${JSON.stringify(entry.name)} is neither http, https nor a file of this machine`,
    );
  }

  #parse(bytes: Buffer): readonly CatalogEntry[] {
    let value: unknown;
    try {
      value = parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch (error) {
      if (!(error instanceof TomlError)) throw this.#invalid('it is not UTF-8 text');
      const [first = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n', 1);
      throw this.#invalid(`line ${error.line}: ${first.slice(0, 200)}`);
    }
    const checked = checkCatalog(value);
    if (checked.kind === 'invalid') throw this.#invalid(checked.problem);
    return checked.value;
  }

  #invalid(problem: string) {
    return failure('CATALOG_INVALID', { catalog: this.path, problem });
  }
}
