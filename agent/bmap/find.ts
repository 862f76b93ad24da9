import { Failure } from '../../shared/failure.ts';
import { guessByName } from '../../shared/image.ts';
import { hasText, headAt, isAddress, isFile, withPath } from './file.ts';

/**
 * The block map beside an image: its name with `.bmap` added, then with `.bmap` in place of the packing's suffix,
 * then of the image's. For a descriptor (.bri) also beside the image that it describes. Null when there is none,
 * and for images that have no neighbours: standard input, names in a catalog. Rejects with the failure of a server
 * that cannot tell, or of a descriptor.
 */
export async function findBmap(image: string, signal?: AbortSignal): Promise<string | null> {
  if (isAddress(image)) {
    const path = URL.parse(image)?.pathname ?? '';
    for (const name of namesBeside(path)) {
      const address = withPath(image, () => name);
      if (await servesBmap(address, signal)) return address;
    }
    return null;
  }
  if (image === '-' || !(await isFile(image))) return null;
  for (const path of namesBeside(image)) if (await isFile(path)) return path;
  if (!/\.bri$/i.test(image)) return null;
  // Loaded here because the schema library behind it takes long.
  const { loadDescriptor } = await import('../source/descriptor.ts');
  return findBmap((await loadDescriptor(image)).url, signal);
}

/** What the block map of `image` may be called, the most telling first. */
export function namesBeside(image: string): readonly string[] {
  const names = [`${image}.bmap`];
  const guess = guessByName(image);
  if (guess?.kind !== 'image') return names;
  const bare = image.slice(0, -guess.suffix.length);
  // Names that are nothing but a suffix (".img") have no stem that a map could be called after.
  if (bare === '' || bare.endsWith('/')) return names;
  const inner = guess.packing !== 'raw' && guess.layout !== null;
  if (inner) names.push(`${image.slice(0, image.lastIndexOf('.'))}.bmap`);
  names.push(`${bare}.bmap`);
  return names;
}

async function servesBmap(address: string, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    const head = await headAt(address, signal);
    // Servers may answer with a page of their own for whatever they do not have.
    return hasText(head, '<bmap');
  } catch (error) {
    const status =
      error instanceof Failure && error.code === 'SOURCE_HTTP_STATUS' ? error.details.status : null;
    // Object stores say 403 for what is not there to those who may not list it.
    if (status === 404 || status === 410 || status === 403) return false;
    throw error;
  }
}
