/** Images: the list, their bytes, uploads, deleting and renaming, the catalog's entries. */
import type { ServerResponse } from 'node:http';
import { catalogBytes } from '../../../shared/catalog.ts';
import { type CatalogImages, imageOperations } from '../../../shared/contract/image.ts';
import { formatByName } from '../../../shared/descriptor.ts';
import { failure } from '../../../shared/failure.ts';
import type { NewEvent } from '../../events/log.ts';
import { digestOf, imageName, plainName } from '../../images/name.ts';
import { imagePath } from '../../images/plane.ts';
import { type Received, receiveFile } from '../../images/receive.ts';
import { fetchText, sizeOfRemote } from '../../images/remote.ts';
import { parseContentRange } from '../../images/resume.ts';
import { freeBytes } from '../../images/room.ts';
import { parseSums } from '../../images/sidecar.ts';
import type { UnifiedImage } from '../../images/unify.ts';
import type { Services } from '../../services.ts';
import { readBody } from '../body.ts';
import { typeOf } from '../content.ts';
import { Problem } from '../problem.ts';
import { type Answer, type Call, empty, handled, json, serve } from '../route.ts';
import type { Routes } from '../server.ts';

const { list, get, getNamed, put, remove, rename, catalog, entries, addEntry, removeEntry } = imageOperations;

export const imageRoutes: Routes = (app, services) => {
  const { images, events, database } = services;

  serve(app, services, list, async ({ host, secure }) => {
    const base = `${secure ? 'https' : 'http'}://${host}`;
    return json((await images.list()).filter(canBeGiven).map((image) => entryOf(image, base)));
  });
  serve(app, services, get, (call) => sendImage(services, call));
  serve(app, services, getNamed, (call) => sendImage(services, call));

  serve(app, services, put, (call) => receive(services, call));

  serve(app, services, remove, async (call) => {
    const key = call.params.name ?? '';
    if (call.query.force !== 1) await refuseBound(services, key);
    const gone = await images.library.remove(key);
    const details = { before: { size_bytes: gone.size, sha256: gone.sha256 } };
    await events.record(eventOf(call, 'image.deleted', gone.name, `${gone.name} was deleted.`, details));
    return empty();
  });

  serve(app, services, rename, async (call) => {
    const from = call.params.name ?? '';
    const to = call.body.name;
    await images.library.rename(from, to);
    const details = { before: { name: from }, after: { name: to } };
    await events.record(eventOf(call, 'image.renamed', to, `${from} was renamed to ${to}.`, details));
    const file = images.library.images.get(to);
    return json({ name: to, size_bytes: file?.state.size ?? 0, path: imagePath(images, to) });
  });

  serve(app, services, catalog, async () => {
    const all = await images.list();
    const { imageQuotaBytes, imageRoot } = services.config;
    const value: CatalogImages = {
      images: all.map((image) => ({
        names: [...image.names],
        sha256: image.sha256,
        format: image.format,
        size_bytes: image.sizeBytes,
        virtual_size_bytes: image.virtualBytes,
        sources: image.places.map((place) => ({ ...place })),
        cached: image.cached,
        problem: image.problem,
        machines: image.sha256 === null ? 0 : services.machines.store.count({ image_sha256: image.sha256 }),
        checked: image.checked,
      })),
      manifest: images.manifest.last?.path ?? null,
      manifest_problem: images.manifest.problem,
      used_bytes: await images.usedBytes(),
      quota_bytes: imageQuotaBytes === 0 ? null : imageQuotaBytes,
      free_bytes: await freeBytes(imageRoot).catch(() => 0),
    };
    return json(value);
  });

  serve(app, services, imageOperations.putManifest, async (call) => {
    const bytes = await readBody(call.request.raw, catalogBytes);
    const { path, entries: found } = await images.manifest.replace(bytes);
    const summary = `A catalog with ${found.length} images was imported.`;
    await events.record(eventOf(call, 'catalog.imported', path, summary, { count: found.length }));
    services.hub.publish({ kind: 'images' });
    return json({ path, count: found.length });
  });

  serve(app, services, entries, () => json(images.rows.all()));

  serve(app, services, addEntry, async (call) => {
    const { image_url: src, sha_url: shaUrl = null } = call.body;
    const name = baseName(src);
    if (name === null) throw new Problem(422, `image_url has no basename: '${src}'`);
    if (images.rows.get(src)) throw failure('CATALOG_ROW_EXISTS', { src });
    const signal = AbortSignal.timeout(30_000);
    let sha256: string | null = null;
    try {
      if (shaUrl !== null) sha256 = await resolveDigest(shaUrl, name, signal);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      const details = { error: problem, sha_url: shaUrl };
      await events.record(
        catalogEvent(call, 'catalog.entry.add_failed', src, `${src} could not be added.`, details),
      );
      throw failure('DIGEST_UNRESOLVED', { problem }, error);
    }
    const row = {
      src,
      sha256,
      name,
      sha_url: shaUrl,
      format: formatByName(name),
      size_bytes: await sizeOfRemote(src, signal),
      description: null,
      added_at: new Date(services.clock()).toISOString().replace('Z', '000+00:00'),
    };
    await database.write(() => {
      if (images.rows.get(src)) throw failure('CATALOG_ROW_EXISTS', { src });
      images.rows.insert(row);
      events.append(
        catalogEvent(call, 'catalog.entry.added', src, `${name} was added to the catalog.`, { after: row }),
      );
    });
    const { description: _, ...told } = row;
    return json(told, 201);
  });

  serve(app, services, removeEntry, async (call) => {
    const { src } = call.query;
    await database.write(() => {
      const before = images.rows.get(src);
      if (!before || !images.rows.remove(src)) throw failure('CATALOG_ROW_UNKNOWN', { src });
      events.append(
        catalogEvent(call, 'catalog.entry.deleted', src, `${before.name} was removed from the catalog.`, {
          before,
        }),
      );
    });
    return empty();
  });
};

/** Machines that a refusal names. */
const mostNamed = 10;

/** Rejects with STORED_IMAGE_BOUND when machines are to be given the image that `key` means. */
async function refuseBound({ images, machines }: Services, key: string): Promise<void> {
  await images.library.refresh();
  const sha256 = digestOf(key) ?? images.library.images.get(key)?.known?.sha256;
  if (sha256 === undefined) return;
  const filter = { image_sha256: sha256 };
  const count = machines.store.count(filter);
  if (count === 0) return;
  const named = [...machines.store.list(filter, null, mostNamed)].map(({ mac }) => mac);
  throw failure('STORED_IMAGE_BOUND', { name: key, machines: named, count });
}

/** What a machine can be given: with a digest, or at an address; not a file that was not read yet. */
function canBeGiven(image: UnifiedImage): boolean {
  return image.sha256 !== null || image.places.some(({ kind }) => kind === 'url');
}

function entryOf(image: UnifiedImage, base: string) {
  const [name = ''] = image.names;
  const here = image.cached && image.sha256 !== null;
  const elsewhere = image.places.find(({ kind }) => kind !== 'local')?.location ?? '';
  return {
    name,
    format: image.format,
    size_bytes: image.sizeBytes ?? 0,
    url: here ? `${base}/images/${image.sha256}/${encodeURIComponent(name)}` : elsewhere,
    ref: image.sha256?.slice(0, 12) ?? null,
    cached: here,
    sha256: image.sha256,
    virtual_size_bytes: image.virtualBytes,
  };
}

async function sendImage(services: Services, call: Call): Promise<Answer> {
  const { images } = services;
  const { request, reply } = call;
  const key = call.params.key ?? '';
  const gone = goneSignal(reply.raw);
  // It may wait for its turn to be fetched; the sender has a patience of its own.
  request.raw.socket.setTimeout(0);
  try {
    const { content, name } = await images.open(key, gone);
    // A digest says nothing of the kind of file.
    const type = digestOf(key) === key ? 'application/octet-stream' : typeOf(name);
    reply.hijack();
    await images.sender.send(request.raw, reply.raw, content, { name, type });
  } catch (error) {
    if (!gone.aborted) throw error;
    // Whoever waited for an image to come is gone; there is nobody to tell.
    reply.hijack();
    reply.raw.destroy();
  }
  return handled;
}

/** Aborts when the client is gone before everything was said. */
export function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => controller.abort(new Error('the client closed the connection')));
  return controller.signal;
}

async function receive(services: Services, call: Call): Promise<Answer> {
  const { images, events, config } = services;
  const name = imageName(call.params.name ?? '');
  const limits = images.limits('image');
  const request = call.request.raw;
  const range = request.headers['content-range'];
  const before = images.library.images.get(name);
  let received: Received;
  try {
    const expected = expectedDigest(request.headers);
    if (range === undefined) received = await receiveFile(request, config.imageRoot, name, limits, expected);
    else {
      const result = await images.resumable.receive(
        request,
        name,
        parseContentRange(range),
        limits,
        expected,
      );
      if (result.kind === 'part') {
        const { offset, total } = result;
        return json({ name, offset, size_bytes: total }, 202, { 'upload-offset': String(offset) });
      }
      received = result.received;
    }
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    await events.record(
      eventOf(call, 'image.upload_failed', name, `The upload of ${name} failed.`, { error: problem }),
    );
    throw error;
  }
  const { size, sha256, path } = received;
  const was = before?.known?.sha256 ?? null;
  // Scripts replace files by the contract; who bound the old bytes finds here why they are gone.
  const bound = was === null || was === sha256 ? 0 : services.machines.store.count({ image_sha256: was });
  const details = {
    size_bytes: size,
    sha256,
    before: before ? { size_bytes: before.state.size, sha256: was, machines: bound } : null,
  };
  const machines = bound === 1 ? '1 machine is' : `${bound} machines are`;
  const told = bound === 0 ? '' : ` ${machines} bound to the bytes that it had before.`;
  await events.record(
    eventOf(call, 'image.uploaded', name, `${name} was uploaded (${size} bytes).${told}`, details),
  );
  const known = await images.library.received(name, received);
  if (known) {
    const hashed = { name, sha256, bytes: size };
    await events.record({
      ...eventOf(call, 'image.hashed', name, `The digest of ${name} is ${sha256}.`, hashed),
      actor: 'system',
    });
  }
  return json({ name, size_bytes: size, path });
}

/** RFC 9530, 2: the digest that the sender computed. Null when it told none. */
export function expectedDigest(headers: NodeJS.Dict<string | string[]>): string | null {
  const given = [headers['repr-digest'], headers['content-digest']].flat().find((text) => text !== undefined);
  const found = /(?:^|[\s,])sha-256=:([A-Za-z0-9+/]{43}=):/.exec(given ?? '')?.[1];
  return found === undefined ? null : Buffer.from(found, 'base64').toString('hex');
}

/** Last segment of an address, decoded; null when it names no file. */
function baseName(address: string): string | null {
  const url = URL.parse(address);
  const segment = url?.pathname.split('/').at(-1) ?? '';
  let name = segment;
  try {
    name = decodeURIComponent(segment);
  } catch {
    // a stray "%" stands for itself
  }
  try {
    return plainName(name);
  } catch {
    return null;
  }
}

const mostSumBytes = 1024 * 1024;

async function resolveDigest(url: string, name: string, signal: AbortSignal): Promise<string> {
  const lines = parseSums(await fetchText(url, mostSumBytes, signal));
  const named = lines.find((line) => line.name === name);
  if (named) return named.sha256;
  // A list of one digest and nothing else can only mean this image.
  const [only] = lines;
  if (lines.length === 1 && only?.name === null) return only.sha256;
  throw new Error(`no line for '${name}' in ${url}`);
}

export function eventOf(
  call: Call,
  kind: string,
  name: string,
  summary: string,
  details: Readonly<Record<string, unknown>>,
): NewEvent {
  const actor = call.principal?.actor ?? 'system';
  return { kind, subject: ['image', name], actor, address: call.address, summary, details };
}

function catalogEvent(
  call: Call,
  kind: string,
  src: string,
  summary: string,
  details: Readonly<Record<string, unknown>>,
): NewEvent {
  return { ...eventOf(call, kind, src, summary, details), subject: ['catalog', src] };
}
