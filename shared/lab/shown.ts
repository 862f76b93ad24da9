/** Names as they are shown. Pure. */

/**
 * Signs without a form of their own: control characters, what turns or cuts off the direction of writing (UAX #9), what
 * joins or parts words unseen, tags (Unicode 15, 23.9).
 */
const unseen =
  /[\p{Cc}\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const harmless = /[\n\t]/;

/**
 * `text` with its unseen signs spelled out, so that no name looks like another one and none changes what stands beside
 * it. Line breaks and tabs stay: what is told in several lines stays readable.
 */
export function shownText(text: string): string {
  return text.replace(unseen, (sign) =>
    harmless.test(sign) ? sign : `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
