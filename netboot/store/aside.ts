/** Statements on a database file that take long, in a thread of their own: no machine waits for them. */
import type { SQLOutputValue } from 'node:sqlite';
import { Worker } from 'node:worker_threads';

/** A connection that only reads; nothing of a strange schema is run. */
const asker = `
const { parentPort, workerData } = require('node:worker_threads');
const { DatabaseSync } = require('node:sqlite');
const connection = new DatabaseSync(workerData.path, { readOnly: true, timeout: 5000 });
try {
  connection.exec('PRAGMA trusted_schema = OFF');
  parentPort.postMessage(connection.prepare(workerData.sql).get(...workerData.values) ?? {});
} finally {
  connection.close();
}`;

/** First row that `sql` has of the database file `path`; an empty one when there is none. Rejects with SQLite's error. */
export function askAside(
  path: string,
  sql: string,
  ...values: readonly string[]
): Promise<Readonly<Record<string, SQLOutputValue>>> {
  return new Promise((resolve, reject) => {
    const limits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 };
    const worker = new Worker(asker, {
      eval: true,
      workerData: { path, sql, values },
      resourceLimits: limits,
    });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the thread of the database ended')));
  });
}
