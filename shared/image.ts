/** Names of image formats and the file names that announce them. */

/** How the stored bytes are packed; `raw` means not at all. */
export type Packing = 'raw' | 'gz' | 'bz2' | 'xz' | 'zst' | 'lz4' | 'zip';
/** What lies inside the packing. */
export type Layout = 'raw' | 'qcow2';

/**
 * Wire names of formats (bty-contract section 1.2): `img`, `img.zst`, `img.xz`, `img.gz`, `img.bz2`, `qcow2`,
 * and ours: `img.lz4`, `img.zip`, `qcow2.<packing>`.
 */
export function formatName(packing: Packing, layout: Layout): string {
  const inner = layout === 'qcow2' ? 'qcow2' : 'img';
  return packing === 'raw' ? inner : `${inner}.${packing}`;
}
