/** Makes X.509 certificates (RFC 5280) with ECDSA P-256: the few forms of DER that they need, and no more. */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body]);
  const digits = body.length.toString(16);
  const length = Buffer.from(digits.length % 2 === 1 ? `0${digits}` : digits, 'hex');
  return Buffer.concat([Buffer.of(tag, 0x80 | length.length), length, body]);
}

const sequence = (...content: readonly Uint8Array[]) => der(0x30, ...content);
const set = (...content: readonly Uint8Array[]) => der(0x31, ...content);
const octets = (content: Uint8Array) => der(0x04, content);
const bits = (content: Uint8Array, unused = 0) => der(0x03, Buffer.of(unused), content);
const explicit = (number: number, content: Uint8Array) => der(0xa0 | number, content);
const truth = der(0x01, Buffer.of(0xff));

function integer(bytes: Uint8Array): Buffer {
  // A first bit of one would make it negative.
  return der(0x02, ((bytes[0] ?? 0) & 0x80) === 0 ? bytes : Buffer.concat([Buffer.of(0), bytes]));
}

function identifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

/** GeneralizedTime is only for 2050 and later, UTCTime for the years before (section 4.1.2.5). */
function time(at: Date): Buffer {
  const text = `${at.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
  return at.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

function commonName(text: string): Buffer {
  return sequence(set(sequence(identifier('2.5.4.3'), der(0x0c, Buffer.from(text)))));
}

function extension(dotted: string, critical: boolean, value: Uint8Array): Buffer {
  return sequence(identifier(dotted), ...(critical ? [truth] : []), octets(value));
}

/** Id of a key: SHA-1 of its bits (section 4.2.1.2); a name, not a protection. */
function keyId(key: KeyObject): Buffer {
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  return createHash('sha1').update(point).digest();
}

function alternativeName(name: string): Buffer {
  if (isIP(name) === 0) return der(0x82, Buffer.from(name));
  return der(0x87, Buffer.from(ipaddr.parse(name).toByteArray()));
}

export interface CertificateRequest {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  /** ECDSA key of the issuer. */
  readonly signingKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** `authority`: may sign servers. `server`: is one, under these names and addresses. */
  readonly purpose:
    | { readonly kind: 'authority' }
    | { readonly kind: 'server'; readonly names: readonly string[] };
}

const ecdsaWithSha256 = sequence(identifier('1.2.840.10045.4.3.2'));

/** The certificate in DER. */
export function makeCertificate(request: CertificateRequest): Buffer {
  const { purpose, publicKey, signingKey } = request;
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const subjectKey = extension('2.5.29.14', false, octets(keyId(publicKey)));
  const issuerKey = sequence(der(0x80, keyId(createPublicKey(signingKey))));
  const extensions =
    purpose.kind === 'authority'
      ? [
          // A CA with a path of length 0 that signs certificates and revocations.
          extension('2.5.29.19', true, sequence(truth, integer(Buffer.of(0)))),
          extension('2.5.29.15', true, bits(Buffer.of(0b0000_0110), 1)),
          subjectKey,
        ]
      : [
          extension('2.5.29.19', true, sequence()),
          extension('2.5.29.15', true, bits(Buffer.of(0b1000_0000), 7)),
          extension('2.5.29.37', false, sequence(identifier('1.3.6.1.5.5.7.3.1'))),
          extension('2.5.29.17', false, sequence(...purpose.names.map(alternativeName))),
          subjectKey,
          extension('2.5.29.35', false, issuerKey),
        ];
  const body = sequence(
    explicit(0, integer(Buffer.of(2))),
    integer(serial),
    ecdsaWithSha256,
    commonName(request.issuer),
    sequence(time(request.notBefore), time(request.notAfter)),
    commonName(request.subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...extensions)),
  );
  return sequence(body, ecdsaWithSha256, bits(sign('sha256', body, signingKey)));
}

/** `bytes` as PEM. */
export function pem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
