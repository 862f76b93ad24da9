/** Set by the builder of the live system (esbuild `define`). */
declare const BTY_BUNDLE: string | undefined;

/**
 * Folder of a bundle whose parts lie beside one another as files (`bty.js`, `<name>.worker.js`, `koffi.node`): that of
 * the live system, which has a root of its own. Null in a checkout and in the single executable.
 */
export const bundleFolder: string | null = typeof BTY_BUNDLE === 'string' ? BTY_BUNDLE : null;

declare const BTY_ADDON: string | undefined;

/** File of the native module in a bundle; null where there is no bundle. */
export const bundledAddon: string | null =
  typeof BTY_ADDON === 'string' ? BTY_ADDON : bundleFolder === null ? null : `${bundleFolder}/koffi.node`;
