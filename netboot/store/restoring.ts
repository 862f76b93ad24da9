/**
 * A backup that is sent to a running appliance. It waits beside the state until somebody says that it is the right one,
 * and takes the state's place when the appliance starts anew: nothing is exchanged under a running one.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { RestoreOffer } from '../../shared/contract/system.ts';
import { asFailure, type Failure, failure } from '../../shared/failure.ts';
import { askAside } from './aside.ts';
import { checkBackupAside, type RestoredState, restoreHeld } from './backup.ts';
import { holdState } from './lock.ts';

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
export async function lookIntoOffer(stateDir: string, sha256: string): Promise<RestoreOffer> {
  const path = join(restoreFolder(stateDir), offeredName);
  const version = await checkBackupAside(path);
  const told = await askAside(
    path,
    `SELECT program, made_at, (SELECT count(*) FROM machines) AS machines, (SELECT count(*) FROM events) AS events
     FROM backup_info`,
  ).catch((error: unknown) => {
    throw failure('BACKUP_REFUSED', { path, problem: asFailure(error).message }, error);
  });
  const madeAt = new Date(Number(told.made_at));
  return {
    sha256,
    program: String(told.program ?? '').slice(0, 100),
    made_at: Number.isNaN(madeAt.getTime()) ? '' : madeAt.toISOString(),
    version,
    machines: Number(told.machines ?? 0),
    events: Number(told.events ?? 0),
  };
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
  readonly info: RestoredState | null;
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

/** The appliance did not start with what was restored: puts back what was there before. */
export function takeBack(stateDir: string, { order, info }: Restored, cause: unknown): Restored {
  const release = holdState(stateDir);
  try {
    info?.takeBack();
  } finally {
    release();
  }
  const problem = `the appliance does not start with it: ${asFailure(cause).message}`;
  const path = join(restoreFolder(stateDir), offeredName);
  return { order, info: null, failure: failure('BACKUP_REFUSED', { path, problem }, cause) };
}

function orderIn(path: string): Order | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return Check(Order, value) ? value : null;
  } catch {
    return null;
  }
}
