/** The boot directory: what machines load before any system runs. */
import { lstat, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { failure } from '../../shared/failure.ts';
import { fileContent, openRegular } from '../http/content.ts';
import type { Content } from '../http/file.ts';
import { plainName } from './name.ts';

/** A boot file that was not found in the directory may be one that the program brings along. */
export type Builtin = (name: string) => Promise<string | null>;

/** Opens a boot file. Rejects with NAME_INVALID (also for links that lead outside) or BOOT_FILE_UNKNOWN. */
export async function openBootFile(root: string, name: string, builtin: Builtin): Promise<Content> {
  const path = await bootPath(root, name);
  const opened = await openRegular(path);
  if (opened) return fileContent(opened, null);
  const brought = await builtin(name);
  const own = brought === null ? null : await openRegular(brought);
  if (own) return fileContent(own, null);
  throw failure('BOOT_FILE_UNKNOWN', { name });
}

/** Path that `name` means in `root`, links followed as long as they stay inside. Rejects with NAME_INVALID. */
export async function bootPath(root: string, name: string): Promise<string> {
  const path = join(root, plainName(name));
  const found = await lstat(path).catch(() => null);
  if (!found?.isSymbolicLink()) return path;
  const [target, inside] = await Promise.all([realpath(path).catch(() => null), realpath(root)]);
  if (target?.startsWith(inside + sep)) return target;
  throw failure('NAME_INVALID', { name });
}
