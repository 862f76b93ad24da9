/** Images, the catalog and boot files over HTTP (bty-contract 3.2, 3.4, 3.6), and what came to it since. */
import { type Static, Type } from 'typebox';
import { operations } from './operation.ts';

const nullable = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const bytes = Type.Integer({ minimum: 0 });

/** A row of `GET /images`: what a machine can be given. */
export const ImageEntry = Type.Object({
  name: Type.String(),
  /** Empty when unknown. */
  format: Type.String(),
  /** 0 when unknown. */
  size_bytes: bytes,
  url: Type.String(),
  /** First twelve digits of the digest. */
  ref: nullable(Type.String()),
  cached: Type.Boolean(),
  sha256: nullable(sha256),
  /** Bytes of the disk inside, null when only unpacking would tell. */
  virtual_size_bytes: nullable(bytes),
});
export type ImageEntry = Static<typeof ImageEntry>;

/** A row of `GET /catalog/images`: everything that is known, also what cannot be given yet. */
export const CatalogImage = Type.Object({
  names: Type.Array(Type.String()),
  sha256: nullable(sha256),
  format: Type.String(),
  size_bytes: nullable(bytes),
  virtual_size_bytes: nullable(bytes),
  sources: Type.Array(
    Type.Object({
      kind: Type.Union([Type.Literal('local'), Type.Literal('manifest'), Type.Literal('url')]),
      location: Type.String(),
    }),
  ),
  cached: Type.Boolean(),
  /** What is wrong with it as far as it was looked at. */
  problem: nullable(Type.String()),
  /** Machines that are to be given it. */
  machines: Type.Integer({ minimum: 0 }),
  /** Its packing, if any, was followed to its end and is whole. */
  checked: Type.Boolean(),
});
export type CatalogImage = Static<typeof CatalogImage>;

export const CatalogImages = Type.Object({
  images: Type.Array(CatalogImage),
  /** Path of the manifest, null when there is none. */
  manifest: nullable(Type.String()),
  /** Why it cannot be read, null when it can. */
  manifest_problem: nullable(Type.String()),
  used_bytes: bytes,
  quota_bytes: nullable(bytes),
  free_bytes: bytes,
});
export type CatalogImages = Static<typeof CatalogImages>;

export const CatalogRow = Type.Object({
  src: Type.String(),
  sha256: nullable(sha256),
  name: Type.String(),
  sha_url: nullable(Type.String()),
  format: nullable(Type.String()),
  size_bytes: nullable(bytes),
  description: nullable(Type.String()),
  added_at: Type.String(),
});

const address = Type.String({ pattern: '^https?://[^/\\s]\\S*$', maxLength: 4096 });
export const CatalogEntryCreate = Type.Object(
  { image_url: address, sha_url: Type.Optional(nullable(address)) },
  { additionalProperties: false },
);

/** What an upload answers. */
export const StoredFile = Type.Object({ name: Type.String(), size_bytes: bytes, path: Type.String() });

export const imageOperations = operations({
  list: {
    name: 'image.list',
    method: 'GET',
    path: '/images',
    access: 'open',
    boot: true,
    summary: 'Images that a machine can be given',
    replies: { 200: { sentence: 'Ordered by name.', schema: Type.Array(ImageEntry) } },
  },
  get: {
    name: 'image.get',
    method: 'GET',
    path: '/images/{key}',
    access: 'open',
    boot: true,
    summary: 'The bytes of an image, by file name or SHA-256',
    description:
      'Ranges, conditions and HEAD as for any file. An image that the catalog knows and that is not here yet is fetched, and sent while it comes; its end is sent only once its digest was right.',
    replies: {
      200: { sentence: 'All of it.', type: 'application/octet-stream' },
      206: { sentence: 'The range asked for.', type: 'application/octet-stream' },
      416: { sentence: 'The range lies behind the end.' },
      502: { sentence: 'It is not here and could not be fetched.' },
    },
  },
  getNamed: {
    name: 'image.get-named',
    method: 'GET',
    path: '/images/{key}/{rest...}',
    access: 'open',
    boot: true,
    summary: 'The same, with a name at the end for those who go by names',
    replies: { 200: { sentence: 'All of it.', type: 'application/octet-stream' } },
  },
  put: {
    name: 'image.put',
    method: 'PUT',
    path: '/images/{name}',
    access: 'operate',
    summary: 'Upload an image',
    description:
      'The body is the file. It appears under its name only when all of it is safe on the disk. With "Content-Range: bytes FIRST-LAST/TOTAL" a file is uploaded in pieces: what came stays when the connection breaks, "Content-Range: bytes */TOTAL" without a body asks how much is here (header upload-offset), the last piece puts the file in place. With "Repr-Digest: sha-256=:BASE64:" a file with another digest is refused.',
    body: { kind: 'raw' },
    replies: {
      200: { sentence: 'It is in place.', schema: StoredFile },
      202: {
        sentence: 'The piece is stored; more is to come.',
        schema: Type.Object({ name: Type.String(), offset: bytes, size_bytes: bytes }),
      },
      409: { sentence: 'The piece does not follow what is here.' },
      413: { sentence: 'It is larger than allowed.' },
      507: { sentence: 'There is no room for it.' },
    },
  },
  remove: {
    name: 'image.delete',
    method: 'DELETE',
    path: '/images/{name}',
    access: 'operate',
    summary: 'Delete an image file by name, or a fetched image by SHA-256',
    description: 'The image of a machine is deleted only with "force=1".',
    query: Type.Object({ force: Type.Optional(Type.Integer({ minimum: 0, maximum: 1 })) }),
    replies: {
      204: { sentence: 'It is gone.' },
      409: { sentence: 'It is the image of the machines that "detail" names.' },
    },
  },
  rename: {
    name: 'image.rename',
    method: 'POST',
    path: '/images/{name}/rename',
    access: 'operate',
    summary: 'Give an image file another name',
    body: {
      kind: 'json',
      schema: Type.Object(
        { name: Type.String({ minLength: 1, maxLength: 255 }) },
        { additionalProperties: false },
      ),
    },
    replies: {
      200: { sentence: 'It has the new name.', schema: StoredFile },
      409: { sentence: 'That name is taken.' },
    },
  },
  catalog: {
    name: 'catalog.images',
    method: 'GET',
    path: '/catalog/images',
    access: 'read',
    summary: 'All images of all sources, with what is known of each, and the room that is left',
    replies: {
      200: { sentence: 'In the order of /images; then unread files; then addresses.', schema: CatalogImages },
    },
  },
  entries: {
    name: 'catalog.entries',
    method: 'GET',
    path: '/catalog/entries',
    access: 'read',
    summary: 'The entries that operators added',
    replies: { 200: { sentence: 'By time.', schema: Type.Array(CatalogRow) } },
  },
  addEntry: {
    name: 'catalog.add',
    method: 'POST',
    path: '/catalog/entries',
    access: 'operate',
    summary: 'Add an image by its address',
    description:
      'With sha_url its digest is read there; without, it becomes known when the image is fetched.',
    body: { kind: 'json', schema: CatalogEntryCreate },
    replies: {
      201: { sentence: 'The entry.', schema: Type.Omit(CatalogRow, ['description']) },
      409: { sentence: 'There is one with that address.' },
    },
  },
  removeEntry: {
    name: 'catalog.remove',
    method: 'DELETE',
    path: '/catalog/entries',
    access: 'operate',
    summary: 'Remove an entry by its address',
    query: Type.Object({ src: Type.String() }),
    replies: { 204: { sentence: 'It is gone.' } },
  },
  putManifest: {
    name: 'catalog.import',
    method: 'PUT',
    path: '/catalog/manifest',
    access: 'operate',
    summary: 'Put a manifest (TOML) in the place of the one that is here',
    description:
      'Each `src` is an http or https address: files of the appliance are named by the manifest on its disk.',
    body: { kind: 'raw' },
    replies: {
      200: {
        sentence: 'It counts from now on.',
        schema: Type.Object({ path: Type.String(), count: Type.Integer() }),
      },
    },
  },
  boot: {
    name: 'boot.get',
    method: 'GET',
    path: '/boot/{name}',
    access: 'open',
    boot: true,
    summary: 'A boot file',
    replies: { 200: { sentence: 'Its bytes.', type: 'application/octet-stream' } },
  },
  putBoot: {
    name: 'boot.put',
    method: 'PUT',
    path: '/boot/{name}',
    access: 'operate',
    summary: 'Upload a boot file',
    body: { kind: 'raw' },
    replies: { 200: { sentence: 'It is in place.', schema: StoredFile } },
  },
});
