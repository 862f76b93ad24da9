/** Longest name that is looked up, in characters. */
const longest = 512;

/**
 * The name under which `asked` is looked up in the table of files, or null when it can name none: `\` becomes `/`,
 * leading `/` and `./` go away; anything that climbs, names a drive or holds control characters is refused. The
 * result is a key of a table; it never becomes a path.
 */
export function fileName(asked: string): string | null {
  if (asked.length > longest) return null;
  for (let at = 0; at < asked.length; at += 1) {
    const code = asked.charCodeAt(at);
    if (code < 0x20 || code === 0x7f) return null;
  }
  const parts = asked
    .replaceAll('\\', '/')
    .split('/')
    .filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..')) return null;
  if (/^[A-Za-z]:/.test(parts[0] ?? '')) return null;
  return parts.join('/');
}
