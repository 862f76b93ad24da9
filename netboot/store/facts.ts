/** What files held when they were last read, in the database. */
import type { FactStore, FileFacts } from '../images/folder.ts';
import type { Database } from './database.ts';
import { objectIn } from './json.ts';

interface Row {
  readonly name: string;
  readonly device: string;
  readonly inode: string;
  readonly size: number;
  readonly modified: string;
  readonly changed: string;
  readonly sha256: string;
  readonly facts: string;
}

export class SqlFactStore implements FactStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  all(folder: string): ReadonlyMap<string, FileFacts> {
    const rows = this.#database.prepare('SELECT * FROM file_facts WHERE folder = ?').all(folder);
    const found = new Map<string, FileFacts>();
    for (const row of rows as unknown as Row[]) {
      const { name, device, inode, size, modified, changed, sha256 } = row;
      const facts = objectIn(row.facts) as FileFacts['facts'] | null;
      // A row that is damaged is as none: the file is read again.
      if (facts !== null)
        found.set(name, { state: { device, inode, size, modified, changed }, sha256, facts });
    }
    return found;
  }

  save(folder: string, name: string, { state, sha256, facts }: FileFacts): Promise<void> {
    return this.#database.write(() => {
      this.#database
        .prepare(
          `INSERT OR REPLACE INTO file_facts
             (folder, name, device, inode, size, modified, changed, sha256, facts, hashed_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          folder,
          name,
          state.device,
          state.inode,
          state.size,
          state.modified,
          state.changed,
          sha256,
          JSON.stringify(facts),
          Date.now(),
        );
    });
  }

  remove(folder: string, name: string): Promise<void> {
    return this.#database.write(() => {
      this.#database.prepare('DELETE FROM file_facts WHERE folder = ? AND name = ?').run(folder, name);
    });
  }
}
