import { constants, openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { getRawAsset, isSea } from 'node:sea';

// open(2): an unnamed file of the directory.
const O_TMPFILE = 0o20200000;
/** Set by the packer (esbuild `define`): file of the native module in a bundle that lies beside a Node.js. */
declare const BTY_ADDON: string | undefined;
/** Asset of the single executable that holds the prebuilt addon of koffi for this machine. */
const asset = 'koffi.node';

/**
 * The package that calls the C library: installed beside a checkout, carried inside the single executable.
 * dlopen(3) wants a file; a process with root rights must not load one that others could swap, so the file has no
 * name and is reached through /proc/self/fd. The descriptor stays open: dlopen knows loaded objects by name.
 */
export function loadKoffi(): unknown {
  if (typeof BTY_ADDON === 'string') {
    const addon = { exports: {} as unknown };
    process.dlopen(addon, BTY_ADDON);
    return addon.exports;
  }
  if (!isSea()) return createRequire(import.meta.url)('koffi');
  const bytes = new Uint8Array(getRawAsset(asset));
  const problems: string[] = [];
  for (const directory of ['/dev/shm', '/run', '/tmp', '/var/tmp']) {
    try {
      const descriptor = openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600);
      for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
      const addon = { exports: {} as unknown };
      process.dlopen(addon, `/proc/self/fd/${descriptor}`);
      return addon.exports;
    } catch (error) {
      problems.push(`${directory}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`the system-call library could not be loaded (${problems.join('; ')})`);
}
