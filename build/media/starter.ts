/** The files that lie on the stick's partition for images when it is new. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { VolumeFile } from '../../agent/stick/volume.ts';

const folder = join(import.meta.dirname, '..', '..', 'netboot', 'live', 'starter');

/** As `bty` of `version` ships them, their lines ended as Windows shows them. */
export async function starterFiles(version: string): Promise<readonly VolumeFile[]> {
  const names = ['README.txt', 'bty.txt', 'debian-13-amd64.bri'];
  return Promise.all(
    names.map(async (name) => {
      const text = (await readFile(join(folder, name), 'utf8')).replaceAll('@VERSION@', version);
      return { name, content: new Uint8Array(Buffer.from(text.replaceAll('\n', '\r\n'))) };
    }),
  );
}
