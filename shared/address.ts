/** What is shown of a URL, and what it names. */

/** `address` for people and logs: without user name and password, also when it is no valid URL. */
export function redacted(address: string): string {
  return address.replace(/^([a-z][a-z0-9+.-]*:)?([/\\]*)[^/\\?#]*@/i, '$1$2');
}

/** Base name of what a URL names: its last path segment, decoded and harmless as a file name, else the host. */
export function nameOf(url: URL): string {
  const segment = url.pathname.split('/').findLast((part) => part !== '') ?? '';
  let decoded = segment;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    // a stray "%" stands for itself
  }
  const name = decoded.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}/\\]/gu, '').trim();
  return name === '' || name === '.' || name === '..' ? url.hostname : name;
}
