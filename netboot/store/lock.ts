/** One appliance for one state directory, at one moment. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { failure } from '../../shared/failure.ts';
import { makeStateFolder } from './folder.ts';

/**
 * Holds `stateDir` until the returned function is called, or this process ends, however it ends. The lock is SQLite's
 * on a file of its own: the system lets go of it with the process. Failures: STATE_BUSY, STATE_UNUSABLE.
 */
export function holdState(stateDir: string): () => void {
  let database: DatabaseSync;
  try {
    makeStateFolder(stateDir);
    database = new DatabaseSync(join(stateDir, 'lock.db'), { timeout: 0 });
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw failure('STATE_UNUSABLE', { path: stateDir, problem }, error);
  }
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw failure('STATE_BUSY', { path: stateDir }, error);
  }
  return () => database.close();
}
