/** `NAME.sha256` beside an image, as sha256sum writes it (bty-contract 3.5). A claim, never the identity. */
import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { openRegular } from '../http/content.ts';

const mostBytes = 1024 * 1024;

/** A line of a list of digests. */
export interface SumLine {
  readonly sha256: string;
  /** Without `*` and `./` before it; null in a line that is only a digest. */
  readonly name: string | null;
}

/** The lines of `text` that hold a digest, in the two forms of sha256sum, the BSD form, or alone. */
export function parseSums(text: string): SumLine[] {
  const lines: SumLine[] = [];
  for (const line of text.split(/\r?\n/)) {
    const plain = /^\\?([0-9a-fA-F]{64})(?:\s+(.*\S))?\s*$/.exec(line.trim());
    const tagged = /^SHA256 \((.+)\) = ([0-9a-fA-F]{64})$/i.exec(line.trim());
    const [digest, name] = plain ? [plain[1], plain[2]] : tagged ? [tagged[2], tagged[1]] : [];
    if (digest === undefined) continue;
    lines.push({
      sha256: digest.toLowerCase(),
      name: name?.replace(/^\*/, '').replace(/^(\.\/)+/, '') ?? null,
    });
  }
  return lines;
}

/** The digest that the sidecar of `path` claims; null when there is none that can be read. */
export async function readSidecar(
  path: string,
): Promise<{ readonly sha256: string; readonly modified: bigint } | null> {
  const opened = await openRegular(`${path}.sha256`).catch(() => null);
  if (opened === null) return null;
  try {
    if (opened.state.size > mostBytes) return null;
    const lines = parseSums(await opened.handle.readFile('utf8'));
    const line = lines.find(({ name }) => name === basename(path)) ?? lines.find(({ name }) => name === null);
    return line ? { sha256: line.sha256, modified: BigInt(opened.state.modified) } : null;
  } finally {
    await opened.handle.close();
  }
}

/** Writes the sidecar of `path` as a whole or not at all. */
export async function writeSidecar(path: string, sha256: string): Promise<void> {
  const partial = join(dirname(path), `.sidecar-${randomUUID()}.partial`);
  try {
    const handle = await open(partial, 'wx', 0o644);
    try {
      await handle.writeFile(`${sha256}  ${basename(path)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, `${path}.sha256`);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {});
    throw error;
  }
}
