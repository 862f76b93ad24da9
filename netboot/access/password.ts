/** The operator's password: kept as scrypt, checked a few at a time. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

// 32 MiB and about a tenth of a second for each guess (RFC 7914; OWASP's "N=2^15, r=8, p=1").
const cost = { N: 2 ** 15, r: 8, p: 1 } as const;
const memory = 64 * 1024 * 1024;

function derive(
  password: string,
  salt: Buffer,
  options: { N: number; r: number; p: number },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, 32, { ...options, maxmem: memory }, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}

/** `password` as it is kept. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, cost);
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64'), key.toString('base64')].join('$');
}

/** True when `password` is the one that is kept as `kept`. */
export async function matchesPassword(password: string, kept: string): Promise<boolean> {
  const [kind, n, r, p, salt = '', key = ''] = kept.split('$');
  if (kind !== 'scrypt') return false;
  const expected = Buffer.from(key, 'base64');
  const found = await derive(password, Buffer.from(salt, 'base64'), {
    N: Number(n),
    r: Number(r),
    p: Number(p),
  });
  return expected.length === found.length && timingSafeEqual(expected, found);
}

/** A password that is made for the first start: 20 letters and digits that are not mistaken for one another. */
export function inventPassword(): string {
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789';
  let made = '';
  while (made.length < 20) {
    for (const byte of randomBytes(32)) {
      if (byte < letters.length * 8 && made.length < 20) made += letters[byte % letters.length];
    }
  }
  return made;
}
