import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A value that is kept in a JSON file. Whoever is interrupted while writing leaves the old file. */
export class Store<Value> {
  readonly #path: string;
  #value: Value;
  #saving: Promise<void> = Promise.resolve();

  private constructor(path: string, value: Value) {
    this.#path = path;
    this.#value = value;
  }

  /** The value in the file at `path`, as `parse` reads it; `parse` is given null when there is none. */
  static async open<Value>(path: string, parse: (stored: unknown) => Value): Promise<Store<Value>> {
    const text = await readFile(path, 'utf8').catch(() => 'null');
    return new Store(path, parse(parsed(text)));
  }

  get value(): Value {
    return this.#value;
  }

  /** Changes the value at once and resolves when it is on the disk. A disk that is full loses it at the next start only. */
  set(value: Value): Promise<void> {
    this.#value = value;
    this.#saving = this.#saving.then(() => this.#save(JSON.stringify(value, null, 2))).catch(() => {});
    return this.#saving;
  }

  async #save(text: string): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const fresh = `${this.#path}.new`;
    await writeFile(fresh, text, { mode: 0o600 });
    await rename(fresh, this.#path);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
