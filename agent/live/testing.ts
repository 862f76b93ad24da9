/** What tests of TLS need. */
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Authority {
  /** For a server, as PEM. */
  readonly key: string;
  readonly cert: string;
  /** SHA-256 of the authority's certificate, lower-case hex. */
  readonly fingerprint: string;
}

/** Makes an authority and a certificate of it for `address`; resolves what a server needs, and the fingerprint. */
export async function authority(folder: string, address: string): Promise<Authority> {
  const openssl = (...args: readonly string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=bty test CA',
  );
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=appliance');
  await writeFile(join(folder, 'names'), `subjectAltName=IP:${address}\n`);
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
  openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...signed);
  const read = (name: string) => readFile(join(folder, name), 'utf8');
  const ca = await read('ca.pem');
  const fingerprint = createHash('sha256').update(new X509Certificate(ca).raw).digest('hex');
  return { key: await read('server.key'), cert: (await read('server.pem')) + ca, fingerprint };
}
