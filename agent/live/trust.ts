/** Trusts the appliance's own certificate authority by the fingerprint that came with the boot. */
import { createHash, X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type DetailedPeerCertificate,
  getCACertificates,
  setDefaultCACertificates,
  TLSSocket,
} from 'node:tls';
import { failure } from '../../shared/failure.ts';
import type { Machine } from './machine.ts';

interface Seen {
  readonly chain: readonly Buffer[];
  readonly date: Date | null;
}

/**
 * Makes this process accept certificates of the authority with `fingerprint` (SHA-256 of its certificate), and sets the
 * clock before anything depends on it. Without a fingerprint the authorities of the system decide. Rejects with
 * APPLIANCE_UNTRUSTED. Waits for an appliance that does not answer yet; `onTrouble` is told why, once, and when it answers.
 */
export async function trust(
  server: string,
  fingerprint: string | null,
  machine: Pick<Machine, 'setClock'>,
  onTrouble: (problem: string | null) => void,
  signal: AbortSignal,
): Promise<void> {
  let seen: Seen | null = null;
  for (let wait = 250; seen === null; wait = Math.min(5000, wait * 2)) {
    try {
      seen = await look(server, signal);
      if (wait > 250) onTrouble(null);
    } catch (error) {
      signal.throwIfAborted();
      if (wait === 250)
        onTrouble(failure('APPLIANCE_UNREACHABLE', { server, problem: cause(error) }).message);
      await pause(wait, undefined, { signal });
    }
  }
  const digests = seen.chain.map((certificate) => createHash('sha256').update(certificate).digest('hex'));
  const index = fingerprint === null ? -1 : digests.indexOf(fingerprint);
  if (fingerprint !== null && index < 0)
    throw failure('APPLIANCE_UNTRUSTED', {
      server,
      expected: fingerprint,
      actual: digests.join(', ') || 'none',
    });
  if (seen.date !== null) await machine.setClock(seen.date);
  const certificate = seen.chain[index];
  if (certificate !== undefined)
    setDefaultCACertificates([...getCACertificates('default'), new X509Certificate(certificate).toString()]);
}

function cause(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The certificates that the server shows, without believing any of them, and its time. */
function look(server: string, signal: AbortSignal): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(10_000)]);
    const sent = request(new URL('/healthz', server), {
      method: 'GET',
      agent: false,
      rejectUnauthorized: false,
      signal: limit,
    });
    sent.on('error', reject);
    sent.on('response', (answer) => {
      const { socket } = answer;
      const chain = socket instanceof TLSSocket ? chainOf(socket.getPeerCertificate(true)) : [];
      const date = new Date(answer.headers.date ?? '');
      answer.destroy();
      resolve({ chain, date: Number.isNaN(date.getTime()) ? null : date });
    });
    sent.end();
  });
}

function chainOf(first: DetailedPeerCertificate): Buffer[] {
  const chain: Buffer[] = [];
  let each: DetailedPeerCertificate | undefined = first;
  // A root is its own issuer.
  while (
    each?.raw &&
    chain.length < 10 &&
    !chain.some((known) => known.equals(each?.raw ?? Buffer.alloc(0)))
  ) {
    chain.push(each.raw);
    each = each.issuerCertificate;
  }
  return chain;
}
