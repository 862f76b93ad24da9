/** What `bty-web` does with the rights of root: it gives them up before it opens anything. */
import { lchownSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { failure } from '../../shared/failure.ts';
import type { Loaded } from '../config/load.ts';
import { makeStateFolder } from '../store/folder.ts';
import { becomeOrdinary, userOf } from '../system/privilege.ts';

/** Everything of root under `path` becomes the user's; links are not followed. */
export function handOver(path: string, user: { readonly uid: number; readonly gid: number }): void {
  const state = lstatSync(path);
  if (state.uid === 0) lchownSync(path, user.uid, user.gid);
  if (!state.isDirectory()) return;
  for (const name of readdirSync(path)) handOver(join(path, name), user);
}

/** Becomes the user of the settings when this process is root's. Answers what to say of it, or null. */
export function giveUpRoot({ config, origins }: Loaded): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || config.user === 'root') return null;
  const user = userOf(config.user);
  if (user === null) {
    if (origins.user !== 'default') throw failure('NO_SUCH_USER', { user: config.user });
    return `bty-web runs as root: there is no user "${config.user}" (make one with: useradd --system ${config.user}).`;
  }
  try {
    makeStateFolder(config.stateDir);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw failure('STATE_UNUSABLE', { path: config.stateDir, problem }, error);
  }
  handOver(config.stateDir, user);
  const { kept } = becomeOrdinary(user);
  return `bty-web runs as ${config.user} and keeps ${kept.join(' and ')}.`;
}
