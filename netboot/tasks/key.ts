/** The key with which the appliance logs in to machines. Its private half never leaves its file. */
import { constants } from 'node:fs';
import { chown, link, mkdir, open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { TaskKey } from '../../shared/contract/task.ts';
import { failure } from '../../shared/failure.ts';
import { fingerprint } from './ssh.ts';

const mostBytes = 32 * 1024;

export interface LoadedKey extends TaskKey {
  readonly private: Buffer;
}

/** The key in `path`, null when there is none. Failures: TASK_KEY_UNUSABLE. */
export async function loadKey(path: string): Promise<LoadedKey | null> {
  const refuse = (problem: string) => failure('TASK_KEY_UNUSABLE', { path, problem });
  let bytes: Buffer;
  try {
    // A pipe in its place would be waited for.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { mode, uid, size, isFile } = await file.stat().then((found) => ({
        mode: found.mode,
        uid: found.uid,
        size: found.size,
        isFile: found.isFile(),
      }));
      if (!isFile) throw refuse('it is no file');
      if ((mode & 0o077) !== 0)
        throw refuse(`others may read or write it (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`);
      const own = process.getuid?.();
      if (own !== undefined && uid !== own && uid !== 0 && own !== 0)
        throw refuse(`it belongs to user ${uid}, and this process is user ${own}`);
      if (size > mostBytes) throw refuse(`it has ${size} bytes`);
      bytes = await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (error instanceof Error && error.name === 'Failure') throw error;
    throw refuse(error instanceof Error ? error.message : String(error));
  }
  const { utils } = await library();
  const parsed = utils.parseKey(bytes);
  if (parsed instanceof Error) {
    const locked = /encrypted|passphrase/i.test(parsed.message);
    // The parser's own words could quote the file.
    throw refuse(locked ? 'it has a passphrase' : 'it is no private key that can be read');
  }
  if (!parsed.isPrivateKey()) throw refuse('it is a public key');
  const wire = parsed.getPublicSSH();
  const line = `${parsed.type} ${wire.toString('base64')} bty`;
  return { private: bytes, public: line, fingerprint: fingerprint(wire), path };
}

/**
 * A new private key in the form of OpenSSH. ssh2 (1.17) takes all leading zeros from the public half, also its own
 * ones, so that one key of 256 is malformed: nothing reads it, and it is made anew.
 */
export async function newKey(): Promise<string> {
  const { utils } = await library();
  for (let tries = 0; tries < 32; tries++) {
    const { private: made } = utils.generateKeyPairSync('ed25519', { comment: 'bty' });
    if (!(utils.parseKey(made) instanceof Error)) return made;
  }
  throw new Error('none of 32 new keys can be read');
}

/** The key in `path`, made when there is none. `owner`: the folder whose owner the key gets. */
export async function makeKey(path: string, owner: string): Promise<LoadedKey> {
  const present = await loadKey(path);
  if (present !== null) return present;
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const partial = `${path}.${process.pid}.partial`;
  await rm(partial, { force: true });
  try {
    const file = await open(partial, 'wx', 0o600);
    try {
      await file.writeFile(await newKey());
      await file.sync();
    } finally {
      await file.close();
    }
    if (process.getuid?.() === 0) {
      const { uid, gid } = await stat(owner);
      for (const each of [folder, partial]) await chown(each, uid, gid);
    }
    // Whoever comes second takes the first one's key.
    await link(partial, path).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    });
  } catch (error) {
    throw failure('TASK_KEY_UNUSABLE', { path, problem: String(error) }, error);
  } finally {
    await rm(partial, { force: true });
  }
  const key = await loadKey(path);
  if (key === null) throw failure('TASK_KEY_UNUSABLE', { path, problem: 'it vanished' });
  return key;
}

async function library(): Promise<typeof import('ssh2')> {
  const loaded = await import('ssh2');
  return 'utils' in loaded ? loaded : (loaded as unknown as { default: typeof import('ssh2') }).default;
}
