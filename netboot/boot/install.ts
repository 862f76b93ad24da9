/** Installs a live system that was built into a folder: all of its files, verified, or none. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Type } from 'typebox';
import { Check } from 'typebox/value';
import { failure } from '../../shared/failure.ts';
import { makeFolder, syncFolder } from '../images/folders.ts';

/** What `manifest.json` of a built live system says that an installation needs; other keys stay in it unread. */
const Manifest = Type.Object({
  schema_version: Type.Literal(1),
  files: Type.Array(
    Type.Object({
      name: Type.String({ pattern: '^[a-z][a-z0-9.-]{0,63}$' }),
      serve_as: Type.String({ pattern: '^bty-netboot-(x86_64|arm64)\\.[a-z]{1,16}$' }),
      size_bytes: Type.Integer({ minimum: 1 }),
      sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    }),
    { minItems: 1, maxItems: 16 },
  ),
});
const mostManifestBytes = 1 << 20;

export interface Installed {
  readonly name: string;
  /** Bytes of the file. */
  readonly size: number;
}

/**
 * Copies the live system in `folder` into the boot directory `to` and answers its files. Rejects with
 * LIVE_SYSTEM_INVALID, and then the boot directory is as it was.
 */
export async function installLive(folder: string, to: string): Promise<readonly Installed[]> {
  const refuse = (problem: string, cause?: unknown) =>
    failure('LIVE_SYSTEM_INVALID', { folder, problem }, cause);
  const text = await readFile(join(folder, 'manifest.json')).catch((error: unknown) => {
    throw refuse('it has no manifest.json that can be read', error);
  });
  const manifest = text.length <= mostManifestBytes ? parsed(text.toString('utf8')) : undefined;
  if (!Check(Manifest, manifest)) throw refuse('its manifest.json does not list files with their digests');
  await makeFolder(to);
  const stage = await mkdtemp(join(to, '.live-'));
  try {
    for (const { name, serve_as, size_bytes, sha256 } of manifest.files) {
      const found = await copied(join(folder, name), join(stage, serve_as)).catch((error: unknown) => {
        throw refuse(`its file ${name} could not be copied`, error);
      });
      if (found.size !== size_bytes || found.sha256 !== sha256)
        throw refuse(`its file ${name} is not the one that manifest.json lists`);
    }
    const [first] = manifest.files;
    const list = `${first?.serve_as.replace(/\.[a-z]+$/, '') ?? ''}.json`;
    await stored(join(stage, list), text);
    const names = [...manifest.files.map((file) => file.serve_as), list];
    for (const name of names) await rename(join(stage, name), join(to, name));
    await syncFolder(to);
    return manifest.files.map((file) => ({ name: file.serve_as, size: file.size_bytes }));
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function stored(path: string, content: Uint8Array): Promise<void> {
  await using file = await open(path, 'wx', 0o644);
  await file.writeFile(content);
  await file.sync();
}

/** Copies a file and answers what was copied, so that what is checked is what will be served. */
async function copied(from: string, to: string): Promise<{ size: number; sha256: string }> {
  await using file = await open(to, 'wx', 0o644);
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(from, { highWaterMark: 1 << 20 })) {
    const bytes = chunk as Buffer;
    hash.update(bytes);
    size += bytes.length;
    await file.writeFile(bytes);
  }
  await file.sync();
  return { size, sha256: hash.digest('hex') };
}
