/**
 * Signatures of minisign: Ed25519 over the BLAKE2b-512 digest of a file (or, as older ones, over the file itself), and
 * a second one over the first and the trusted comment. Pure.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';

export interface PublicKey {
  /** Names the key: 8 bytes. */
  readonly id: Buffer;
  /** The 32 bytes of an Ed25519 key. */
  readonly key: Buffer;
}

export type Verified =
  | { readonly kind: 'valid'; readonly comment: string }
  | { readonly kind: 'invalid'; readonly problem: string };

const plain = 'Ed';
const digested = 'ED';
/** RFC 8410, section 4: what stands before the 32 bytes of a public key in DER. */
const header = Buffer.from('302a300506032b6570032100', 'hex');

/** Reads a public key: the base64 line of `minisign.pub`, with or without the comment above it. Null when it is none. */
export function parsePublicKey(text: string): PublicKey | null {
  const line = text
    .split(/\r?\n/)
    .map((each) => each.trim())
    .findLast((each) => each !== '');
  const bytes = line === undefined ? null : decoded(line, 42);
  if (bytes === null || bytes.toString('latin1', 0, 2) !== plain) return null;
  return { id: bytes.subarray(2, 10), key: bytes.subarray(10) };
}

/** Whether `signature`, the text of a `.minisig` file, is one of `key` over `content`. */
export function verifySignature(content: Uint8Array, signature: string, key: PublicKey): Verified {
  const invalid = (problem: string): Verified => ({ kind: 'invalid', problem });
  const [untrusted, first = '', trusted = '', second = ''] = signature.split(/\r?\n/);
  const bytes = decoded(first, 74);
  const whole = decoded(second, 64);
  if (
    !untrusted?.startsWith('untrusted comment: ') ||
    !trusted.startsWith('trusted comment: ') ||
    !bytes ||
    !whole
  )
    return invalid('its signature is not in the form of minisign');
  const algorithm = bytes.toString('latin1', 0, 2);
  if (algorithm !== plain && algorithm !== digested)
    return invalid('its signature is of a kind that is not known');
  if (!bytes.subarray(2, 10).equals(key.id))
    return invalid(`it is signed by the key ${nameOf(bytes.subarray(2, 10))}, expected is ${nameOf(key.id)}`);
  const comment = trusted.slice('trusted comment: '.length);
  const signed = algorithm === digested ? createHash('blake2b512').update(content).digest() : content;
  const own = bytes.subarray(10);
  const publicKey = createPublicKey({
    key: Buffer.concat([header, key.key]),
    format: 'der',
    type: 'spki',
  });
  if (!verify(null, signed, publicKey, own)) return invalid('its signature is not one of its list of files');
  if (!verify(null, Buffer.concat([own, Buffer.from(comment)]), publicKey, whole))
    return invalid('the comment of its signature was changed');
  return { kind: 'valid', comment };
}

/** The id of a key as minisign prints it. */
export const nameOf = (id: Uint8Array): string => Buffer.from(id).reverse().toString('hex').toUpperCase();

function decoded(line: string, bytes: number): Buffer | null {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(line)) return null;
  const found = Buffer.from(line, 'base64');
  return found.length === bytes ? found : null;
}
