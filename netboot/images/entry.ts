/** A row of the catalog that the operator added by address. */
export interface CatalogRow {
  readonly src: string;
  readonly sha256: string | null;
  readonly name: string;
  readonly sha_url: string | null;
  readonly format: string | null;
  readonly size_bytes: number | null;
  readonly description: string | null;
  /** `YYYY-MM-DDTHH:MM:SS.ffffff+00:00` */
  readonly added_at: string;
}

/** Where rows are kept. Changes are made inside a write, together with the event that tells of them. */
export interface RowStore {
  /** By `added_at`. */
  all(): readonly CatalogRow[];
  get(src: string): CatalogRow | undefined;
  insert(row: CatalogRow): void;
  /** What was found out later. */
  learn(src: string, sha256: string, sizeBytes: number): void;
  /** False when there was none. */
  remove(src: string): boolean;
}
