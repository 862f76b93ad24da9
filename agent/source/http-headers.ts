/** What HTTP header fields of an image's transfer mean (RFC 9110), without sockets. */
import type { IncomingHttpHeaders } from 'node:http';

/** Content-Range of a 206 (`end` is exclusive) or of a 416. `total` is null where the server says "*". */
export type ContentRange =
  | { readonly kind: 'part'; readonly start: number; readonly end: number; readonly total: number | null }
  | { readonly kind: 'unsatisfied'; readonly total: number | null };

/** RFC 9110 section 14.4; null when it is absent, malformed, or contradicts itself. */
export function parseContentRange(value: string | undefined): ContentRange | null {
  const found = /^bytes[ =](?:(\d{1,16})-(\d{1,16})|\*)\/(\d{1,16}|\*)$/i.exec(value?.trim() ?? '');
  if (!found) return null;
  const total = found[3] === '*' ? null : Number(found[3]);
  if (found[1] === undefined) return { kind: 'unsatisfied', total };
  const [start, end] = [Number(found[1]), Number(found[2]) + 1];
  if (end <= start || (total !== null && end > total) || !Number.isSafeInteger(end)) return null;
  return { kind: 'part', start, end, total };
}

/** Content-Length, null when it is absent or no length. */
export function contentLength(headers: IncomingHttpHeaders): number | null {
  const value = headers['content-length'];
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : null;
}

/** What tells one version of a file on a server from another. */
export interface Version {
  readonly etag: string | null;
  readonly lastModified: string | null;
  /** The value for If-Range, which takes strong validators only (RFC 9110 section 13.1.5). */
  readonly ifRange: string | null;
}

/** The version that a reply is of. */
export function versionOf(headers: IncomingHttpHeaders): Version {
  const etag = headers.etag?.trim() || null;
  const lastModified = headers['last-modified']?.trim() || null;
  const strong = etag !== null && /^"[^"]*"$/.test(etag);
  // RFC 9110 section 8.8.2.2: a date is strong when it is at least a second older than the reply.
  const age = Date.parse(headers.date ?? '') - Date.parse(lastModified ?? '');
  const date = age >= 1000 ? lastModified : null;
  return { etag, lastModified, ifRange: strong ? etag : etag === null ? date : null };
}

/**
 * Whether a later reply is of the `known` version. A 206 to an If-Range request may leave out what the condition
 * already proved (RFC 9110 section 15.3.7); otherwise what was there before must be there and equal.
 */
export function sameVersion(known: Version, now: Version, proven: boolean): boolean {
  if (known.etag !== null && now.etag !== null) return known.etag === now.etag;
  if (known.lastModified !== null && now.lastModified !== null) {
    return known.lastModified === now.lastModified;
  }
  return proven || (known.etag === null && known.lastModified === null);
}

/** Milliseconds to wait by Retry-After (RFC 9110 section 10.2.3), null when the server names none. */
export function retryAfter(headers: IncomingHttpHeaders, now: number): number | null {
  const value = headers['retry-after']?.trim();
  if (value === undefined || value === '') return null;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
