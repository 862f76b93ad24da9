import type { ImageEntry } from '../../../shared/contract/image.ts';
import { type Answer, useAnswer } from './answer.ts';
import { ask } from './api.ts';

/** Images that machines can be given. */
export function useImages(): Answer<readonly ImageEntry[]> {
  return useAnswer('images', () => ask('GET /images'), ['images']);
}

/** Name of the image with this digest; null for none, its first digits where it is not known. */
export function imageName(images: readonly ImageEntry[] | undefined, sha256: string | null): string | null {
  if (sha256 === null) return null;
  return images?.find((image) => image.sha256 === sha256)?.name ?? sha256.slice(0, 12);
}
