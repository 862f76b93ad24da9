/** Certificates for TLS: those that the operator names, or a CA of our own that is made once and kept. */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { failure } from '../../shared/failure.ts';
import { makeCertificate, pem } from './x509.ts';

export interface Certificate {
  /** Certificate chain and private key, PEM. */
  readonly cert: string;
  readonly key: string;
  /** SHA-256 of the last certificate of the chain (DER) in lower-case hex: the CA's. */
  readonly fingerprint: string;
}

const day = 86_400_000;
/** A CA must outlive the machines that were told of it; browsers accept servers for at most 398 days. */
const caDays = 3650;
const serverDays = 397;
/** A server certificate that ends sooner is made anew. */
const renewDays = 30;

/** What the operator named. Failure: SETTING_INVALID. */
export async function namedCertificate(certPath: string, keyPath: string): Promise<Certificate> {
  const read = async (name: string, path: string) => {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      throw failure('SETTING_INVALID', { name, origin: path, problem }, error);
    }
  };
  const [cert, key] = await Promise.all([read('tls_cert', certPath), read('tls_key', keyPath)]);
  try {
    return { cert, key, fingerprint: fingerprintOf(cert) };
  } catch (error) {
    const problem = 'it holds no certificate in PEM form';
    throw failure('SETTING_INVALID', { name: 'tls_cert', origin: certPath, problem }, error);
  }
}

function fingerprintOf(chain: string): string {
  const last = chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)?.at(-1);
  if (last === undefined) throw new Error('no certificate');
  return createHash('sha256').update(new X509Certificate(last).raw).digest('hex');
}

/** A certificate for every name and address of this machine, by the CA kept in `folder` (made when there is none). */
export async function ownCertificate(folder: string, now: number): Promise<Certificate> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const authority = (await keptPair(folder, 'ca')) ?? (await makeAuthority(folder, now));
  const names = ownNames();
  const kept = await keptPair(folder, 'server');
  const fits = kept !== null && isUsable(kept.cert, authority.cert, names, now);
  const server = fits ? kept : await makeServer(folder, authority, names, now);
  return {
    cert: `${server.cert.trim()}\n${authority.cert.trim()}\n`,
    key: server.key,
    fingerprint: fingerprintOf(authority.cert),
  };
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

async function keptPair(folder: string, name: string): Promise<Pair | null> {
  try {
    const [cert, key] = await Promise.all([
      readFile(join(folder, `${name}.pem`), 'utf8'),
      readFile(join(folder, `${name}.key`), 'utf8'),
    ]);
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)) ? { cert, key } : null;
  } catch {
    return null;
  }
}

function isUsable(cert: string, authority: string, names: readonly string[], now: number): boolean {
  const found = new X509Certificate(cert);
  if (!found.verify(new X509Certificate(authority).publicKey)) return false;
  if (Date.parse(found.validTo) - now < renewDays * day || Date.parse(found.validFrom) > now) return false;
  return names.every((name) => (isIP(name) ? found.checkIP(name) : found.checkHost(name)) !== undefined);
}

/** Names and addresses by which this machine may be asked. */
function ownNames(): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .map(({ address }) => address.replace(/%.*$/, ''));
  return [...new Set(['localhost', hostname(), 'bty-server', ...addresses])];
}

const authorityName = 'bty appliance CA';

function newKeys() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

async function makeAuthority(folder: string, now: number): Promise<Pair> {
  const { publicKey, privateKey } = newKeys();
  const made = makeCertificate({
    subject: authorityName,
    issuer: authorityName,
    publicKey,
    signingKey: privateKey,
    notBefore: new Date(now - day),
    notAfter: new Date(now + caDays * day),
    purpose: { kind: 'authority' },
  });
  return keep(folder, 'ca', made, privateKey);
}

async function makeServer(
  folder: string,
  authority: Pair,
  names: readonly string[],
  now: number,
): Promise<Pair> {
  const { publicKey, privateKey } = newKeys();
  const made = makeCertificate({
    subject: 'bty-server',
    issuer: authorityName,
    publicKey,
    signingKey: createPrivateKey(authority.key),
    notBefore: new Date(now - day),
    notAfter: new Date(now + serverDays * day),
    purpose: { kind: 'server', names },
  });
  return keep(folder, 'server', made, privateKey);
}

async function keep(folder: string, name: string, made: Buffer, privateKey: KeyObject): Promise<Pair> {
  const key = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const cert = pem('CERTIFICATE', made);
  // A pair that does not fit together, because only one of both was written, is made anew.
  await replace(join(folder, `${name}.key`), key, 0o600);
  await replace(join(folder, `${name}.pem`), cert, 0o644);
  return { cert, key };
}

async function replace(path: string, content: string, mode: number): Promise<void> {
  await writeFile(`${path}.partial`, content, { mode });
  await rename(`${path}.partial`, path);
}
