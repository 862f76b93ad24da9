import { BmapProblem } from './document.ts';

export interface Unwrapped {
  /** The block map itself. */
  readonly content: Uint8Array;
  /** What wrapped it, in words; null for nothing. */
  readonly signature: string | null;
}

const message = '-----BEGIN PGP SIGNED MESSAGE-----';
const begin = '-----BEGIN PGP SIGNATURE-----';
const end = '-----END PGP SIGNATURE-----';

/** Takes a block map out of an OpenPGP clear-text signature (RFC 9580 section 7). Throws BmapProblem. */
export function unwrap(bytes: Uint8Array): Unwrapped {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!whole.subarray(0, message.length).equals(Buffer.from(message)))
    return { content: bytes, signature: null };
  const text = whole.toString('latin1');
  const headersEnd = /\r?\n[ \t]*\r?\n/.exec(text.slice(0, 4096));
  const signatureStart = text.indexOf(`\n${begin}`);
  if (!headersEnd || signatureStart < 0 || text.indexOf(`\n${end}`, signatureStart) < 0) {
    throw new BmapProblem('the signature around it is not complete');
  }
  const start = headersEnd.index + headersEnd[0].length;
  // Lines that begin with a dash were escaped with "- " (section 7.2).
  const content = text.slice(start, Math.max(start, signatureStart + 1)).replace(/^- /gm, '');
  return { content: Buffer.from(content, 'latin1'), signature: 'OpenPGP, within the file' };
}
