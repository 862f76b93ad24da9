/** `text` as an address, relative to `base` where there is one; null when it is none. URL.parse is newer than Node.js 18. */
export function urlOf(text: string, base?: string): URL | null {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
}
