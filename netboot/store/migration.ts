import type { DatabaseSync } from 'node:sqlite';

/** One step of the schema, forward only. Once released it is never changed; what follows is a new one. */
export interface Migration {
  /** File name without its ending: `NNN-name`, NNN its place in the order. */
  readonly name: string;
  readonly run: (database: DatabaseSync) => void;
}
