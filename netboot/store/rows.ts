/** The operator's rows of the catalog, in the database. */
import type { CatalogRow, RowStore } from '../images/entry.ts';
import type { Database } from './database.ts';

const columns = 'src, sha256, name, sha_url, format, size_bytes, description, added_at';

export class SqlRowStore implements RowStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  all(): readonly CatalogRow[] {
    const rows = this.#database
      .prepare(`SELECT ${columns} FROM catalog_entries ORDER BY added_at, src`)
      .all();
    return rows.map((row) => ({ ...row })) as unknown as CatalogRow[];
  }

  get(src: string): CatalogRow | undefined {
    const row = this.#database.prepare(`SELECT ${columns} FROM catalog_entries WHERE src = ?`).get(src);
    return row as unknown as CatalogRow | undefined;
  }

  insert(row: CatalogRow): void {
    this.#database
      .prepare(`INSERT INTO catalog_entries (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
      .run(
        row.src,
        row.sha256,
        row.name,
        row.sha_url,
        row.format,
        row.size_bytes,
        row.description,
        row.added_at,
      );
  }

  learn(src: string, sha256: string, sizeBytes: number): void {
    this.#database
      .prepare('UPDATE catalog_entries SET sha256 = ?, size_bytes = ? WHERE src = ?')
      .run(sha256, sizeBytes, src);
  }

  remove(src: string): boolean {
    return this.#database.prepare('DELETE FROM catalog_entries WHERE src = ?').run(src).changes > 0;
  }
}
