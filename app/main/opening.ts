import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Opening } from '../../shared/app/contract.ts';
import { urlOf } from '../../shared/app/url.ts';

/**
 * What a `bty:` link asks for: `bty://flash?image=https://…`. A link may come from any web page, so it can only name
 * an image on a server; it never names a disk and never begins anything. Null for any other link.
 */
export function openingOfLink(link: string): Opening | null {
  const url = link.length <= 8192 ? urlOf(link) : null;
  if (url?.protocol !== 'bty:' || (url.host !== 'flash' && url.pathname !== 'flash')) return null;
  const image = url.searchParams.get('image');
  if (image === null || image.length > 4096) return null;
  return /^https?:$/.test(urlOf(image)?.protocol ?? '') ? { location: image, by: 'link' } : null;
}

/** What the words of a command line ask to open, seen from `folder`: the first link, address or file among them. */
export async function openingOfWords(words: readonly string[], folder: string): Promise<Opening | null> {
  for (const word of words.filter((text) => !text.startsWith('-'))) {
    if (/^bty:/i.test(word)) return openingOfLink(word);
    if (/^https?:\/\//i.test(word)) return { location: word, by: 'file' };
    const path = resolve(folder, word);
    const found = await stat(path).catch(() => null);
    if (found?.isFile()) return { location: path, by: 'file' };
  }
  return null;
}
