/** What the code on a machine's label says. Pure. */

/** `localhost`, 127.0.0.0/8, ::1. */
const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/;

/**
 * Address of the page of `mac`, for a phone that reads the label. Who looks at the pages on the appliance's own computer
 * calls it by a name that means another one elsewhere; then its address on the machines' network, one of `addresses`,
 * stands in its place. Null where there is none.
 */
export function labelAddress(mac: string, pages: string, addresses: readonly string[]): string | null {
  const url = new URL(`/ui/machines/${mac}`, pages);
  if (!loopback.test(url.hostname)) return url.href;
  const plain = addresses.map((address) => address.split('/')[0] ?? '');
  const other = plain.find((address) => /^\d{1,3}(?:\.\d{1,3}){3}$/.test(address) && !loopback.test(address));
  if (other === undefined) return null;
  url.hostname = other;
  return url.href;
}
