/** An image in the layout of the Open Container Initiative (image-spec 1.1), written by ourselves: it is small. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

const type = (name: string): string => `application/vnd.oci.image.${name}`;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** A folder that becomes `index.json`, `oci-layout` and `blobs/sha256`. */
export class Layout {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Where a blob lies, relative to the folder. */
  static path({ digest }: Descriptor): string {
    return join('blobs', ...digest.split(':'));
  }

  /** Takes in a layer, a tar archive under gzip; the file is moved away. */
  async layer(file: string): Promise<{ readonly blob: Descriptor; readonly unpacked: string }> {
    const [packed, unpacked] = [createHash('sha256'), createHash('sha256')];
    await pipeline(createReadStream(file), packed);
    await pipeline(createReadStream(file), createGunzip(), unpacked);
    const { size } = await stat(file);
    const digest = `sha256:${packed.digest('hex')}`;
    const blob = { mediaType: type('layer.v1.tar+gzip'), digest, size };
    await mkdir(join(this.folder, 'blobs', 'sha256'), { recursive: true });
    await rename(file, join(this.folder, Layout.path(blob)));
    return { blob, unpacked: `sha256:${unpacked.digest('hex')}` };
  }

  async document(kind: 'config.v1+json' | 'manifest.v1+json', value: unknown): Promise<Descriptor> {
    const text = Buffer.from(JSON.stringify(value));
    const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    const blob = { mediaType: type(kind), digest, size: text.length };
    await mkdir(join(this.folder, 'blobs', 'sha256'), { recursive: true });
    await writeFile(join(this.folder, Layout.path(blob)), text);
    return blob;
  }

  /** Names the images of the layout. */
  async index(manifests: readonly (Descriptor & { readonly [more: string]: unknown })[]): Promise<void> {
    const value = { schemaVersion: 2, mediaType: type('index.v1+json'), manifests };
    await writeFile(join(this.folder, 'index.json'), JSON.stringify(value));
    await writeFile(join(this.folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  }
}
