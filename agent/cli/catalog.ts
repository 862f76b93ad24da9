import { redacted } from '../../shared/address.ts';
import { ExitCode, Failure } from '../../shared/failure.ts';
import { fetchEntry, listCatalog } from '../catalog/cache.ts';
import { cacheDirectory, catalogLocation, configuredCatalog, findEntry } from '../catalog/manifest.ts';
import type { Command } from './command.ts';
import { Meter } from './meter.ts';
import { print, printJson, table, warn, warnFailure } from './output.ts';
import { visible } from './visible.ts';

/** `bty catalog validate` (bty-contract section 1.5). */
export const runValidate: Command<'catalog validate'> = (values, { environment, signal }) =>
  withCatalogExit(async () => {
    const path = await catalogLocation(values.path, environment);
    try {
      const { entries, location } = await configuredCatalog(values.path, environment, signal);
      if (values.json) printJson('catalog-validate', { path: location, valid: true, count: entries.length });
      else print(`catalog at ${visible(location)}: ok (${entries.length} entries)`);
      return ExitCode.ok;
    } catch (error) {
      const isVerdict = error instanceof Failure && error.code !== 'CANCELLED' && path !== null;
      if (!values.json || !isVerdict) throw error;
      const { message, advice, code } = error;
      const shown = /^https?:/i.test(path) ? redacted(path) : path;
      printJson('catalog-validate', { path: shown, valid: false, error: message, advice, code });
      return ExitCode.failed;
    }
  });

/** `bty catalog list`. */
export const runList: Command<'catalog list'> = (values, { environment, signal }) =>
  withCatalogExit(async () => {
    const catalog = await configuredCatalog(values.manifest, environment, signal);
    const directory = cacheDirectory(environment);
    const entries = await listCatalog(catalog, directory);
    if (values.json) {
      printJson('catalog-list', { manifest: catalog.location, cache_dir: directory, entries });
    } else {
      const rows = entries.map((row) => [row.name, row.format, row.size_bytes, row.cached, row.src]);
      print(table(['name', 'format', 'size_bytes', 'cached', 'src'], rows));
    }
    return ExitCode.ok;
  });

/** `bty catalog fetch`. */
export const runFetch: Command<'catalog fetch'> = (values, { environment, signal }) =>
  withCatalogExit(async () => {
    const catalog = await configuredCatalog(values.manifest, environment, signal);
    const entry = findEntry(catalog, values.name);
    const meter = new Meter(entry.name);
    let result: Awaited<ReturnType<typeof fetchEntry>>;
    try {
      result = await fetchEntry(entry, catalog, cacheDirectory(environment), {
        signal,
        onProgress: ({ bytes, totalBytes }) => meter.show(bytes, totalBytes),
        onNotice: (text) => {
          meter.end();
          warn(text);
        },
      });
    } finally {
      meter.end();
    }
    const { name, sha256, path, fetched } = result;
    if (values.json) printJson('catalog-fetch', { name, sha256, cached_path: path, fetched });
    else print(`${visible(name)}: ${fetched ? 'fetched to' : 'already cached at'} ${visible(path)}`);
    return ExitCode.ok;
  });

/** Whatever fails in a catalog command, the exit code is 1, also where other commands have another one. */
async function withCatalogExit(work: () => Promise<ExitCode>): Promise<ExitCode> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Failure) || error.code === 'CANCELLED' || error.code === 'INTERNAL') throw error;
    warnFailure(error);
    return ExitCode.failed;
  }
}
