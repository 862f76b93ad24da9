/** Signs what a release lists, in the form of minisign; the appliance and the program minisign verify it. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';

export interface SecretKey {
  readonly id: Buffer;
  readonly key: KeyObject;
  /** The 32 bytes that everybody may know. */
  readonly publicBytes: Buffer;
}

/** RFC 8410, section 7: what stands before the 32 bytes of a private key in DER. */
const header = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * Reads a secret key of minisign that was made without a password (`minisign -G -W`): the text of the file, or its
 * base64 line alone. Throws a sentence when it is none.
 */
export function parseSecretKey(text: string): SecretKey {
  const line = text.trim().split(/\r?\n/).at(-1) ?? '';
  const bytes = Buffer.from(line.trim(), 'base64');
  if (bytes.length !== 158 || bytes.toString('latin1', 0, 2) !== 'Ed')
    throw new Error('the signing key is no secret key of minisign (make one with: minisign -G -W)');
  if (bytes.readUInt16LE(2) !== 0)
    throw new Error('the signing key is locked by a password; make one without (minisign -G -W)');
  const [id, seed, publicBytes] = [bytes.subarray(54, 62), bytes.subarray(62, 94), bytes.subarray(94, 126)];
  const key = createPrivateKey({ key: Buffer.concat([header, seed]), format: 'der', type: 'pkcs8' });
  const derived = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
  if (!derived.equals(publicBytes)) throw new Error('the signing key is damaged: its halves differ');
  return { id, key, publicBytes };
}

/** Text of the `.minisig` file for `content`. `comment` is signed too; it is one line. */
export function signatureOf(content: Uint8Array, { id, key }: SecretKey, comment: string): string {
  if (/[\r\n]/.test(comment)) throw new Error('the comment of a signature is one line');
  const own = sign(null, createHash('blake2b512').update(content).digest(), key);
  const whole = sign(null, Buffer.concat([own, Buffer.from(comment)]), key);
  const first = Buffer.concat([Buffer.from('ED'), id, own]).toString('base64');
  return `untrusted comment: signature of a release of bty\n${first}\ntrusted comment: ${comment}\n${whole.toString('base64')}\n`;
}

/** The base64 line of the public key, as an appliance is given it. */
export const publicLine = ({ id, publicBytes }: SecretKey): string =>
  Buffer.concat([Buffer.from('Ed'), id, publicBytes]).toString('base64');
