import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { ExitCode, failure } from '../../shared/failure.ts';
import type { Loaded } from '../config/load.ts';
import { Hub } from '../events/hub.ts';
import { EventLog } from '../events/log.ts';
import { Database, databasePath } from '../store/database.ts';

/**
 * Proves the chain of events, also while the appliance runs; with `expected`, the hash that an earlier run told, also
 * that what was there then is there now. Exit code 1 when it is broken.
 */
export function auditVerify({ config }: Loaded, expected: string | null): ExitCode {
  if (expected !== null && !/^[0-9a-f]{64}$/.test(expected))
    throw failure('USAGE', { problem: `"${expected}" is no hash of an event: 64 digits of 0-9 and a-f.` });
  const path = databasePath(config.stateDir);
  if (!existsSync(path))
    throw failure('STATE_UNUSABLE', { path: config.stateDir, problem: 'there is no state.db in it' });
  const database = new Database(new DatabaseSync(path, { readOnly: true, timeout: 5000 }));
  try {
    const verdict = new EventLog(database, new Hub(), Date.now).verify(expected);
    if (verdict.kind === 'broken') {
      process.stdout.write(`The chain of events is broken at event ${verdict.id}: ${verdict.problem}.\n`);
      return ExitCode.failed;
    }
    const { events, firstId, lastHash } = verdict;
    process.stdout.write(`${events} events from ${firstId} on, unbroken. Hash of the last: ${lastHash}\n`);
    return ExitCode.ok;
  } finally {
    database.close();
  }
}
