/**
 * A backup that is sent to a running appliance. It waits beside the state until somebody says that it is the right one,
 * and takes the state's place when the appliance starts anew: nothing is exchanged under a running one.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { RestoreOffer } from '../../shared/contract/system.ts';
import { asFailure, type Failure, failure } from '../../shared/failure.ts';
import { type BackupInfo, checkBackup, restoreHeld } from './backup.ts';

export const offeredName = 'offered.backup';
const orderName = 'order.json';

/** Folder of what waits to be restored. */
export function restoreFolder(stateDir: string): string {
  return join(stateDir, 'restore');
}

/** Makes the folder, which nobody else may look into. */
export async function makeRestoreFolder(stateDir: string): Promise<string> {
  const folder = restoreFolder(stateDir);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** What the backup that waits holds. `sha256` is its digest. Failures: BACKUP_REFUSED, STATE_NEWER. */
export function lookIntoOffer(stateDir: string, sha256: string): RestoreOffer {
  const path = join(restoreFolder(stateDir), offeredName);
  const version = checkBackup(path);
  const connection = new DatabaseSync(path, { readOnly: true });
  try {
    const info = connection.prepare('SELECT program, made_at FROM backup_info').get();
    const count = (table: 'machines' | 'events') =>
      Number(connection.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n ?? 0);
    const madeAt = Number(info?.made_at);
    return {
      sha256,
      program: String(info?.program ?? '').slice(0, 100),
      made_at: Number.isFinite(madeAt) ? new Date(madeAt).toISOString() : '',
      version,
      machines: count('machines'),
      events: count('events'),
    };
  } catch (error) {
    throw failure('BACKUP_REFUSED', { path, problem: asFailure(error).message }, error);
  } finally {
    connection.close();
  }
}

/** Forgets the backup that waits. */
export async function forgetOffer(stateDir: string): Promise<void> {
  await rm(restoreFolder(stateDir), { recursive: true, force: true });
}

const Order = Type.Object({ actor: Type.String(), address: Type.String() });
type Order = Static<typeof Order>;

/** The backup that waits is to be restored at the next start. */
export async function orderRestore(stateDir: string, order: Order): Promise<void> {
  const path = join(restoreFolder(stateDir), orderName);
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify(order));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

/** What came of an order: who gave it, and why nothing was restored, if nothing was. */
export interface Restored {
  readonly order: Order;
  readonly info: BackupInfo | null;
  readonly failure: Failure | null;
}

/**
 * Does what was ordered, for whoever holds the state and has not opened it; null when nothing was. A backup that only
 * waited is forgotten. What cannot be restored leaves the state as it is.
 */
export function restoreOrdered(stateDir: string, now: number): Restored | null {
  const folder = restoreFolder(stateDir);
  if (!existsSync(folder)) return null;
  const order = orderIn(join(folder, orderName));
  let done: Restored | null = null;
  if (order !== null) {
    try {
      done = { order, info: restoreHeld(stateDir, join(folder, offeredName), now), failure: null };
    } catch (error) {
      done = { order, info: null, failure: asFailure(error) };
    }
  }
  rmSync(folder, { recursive: true, force: true });
  return done;
}

function orderIn(path: string): Order | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return Check(Order, value) ? value : null;
  } catch {
    return null;
  }
}
