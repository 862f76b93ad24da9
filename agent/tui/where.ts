/** Where images are to come from, as a person says it. */
import { redacted } from '../../shared/address.ts';
import type { Source } from './state.ts';

export type Where =
  | { readonly kind: 'source'; readonly source: Source }
  | { readonly kind: 'invalid'; readonly problem: string };

/** The server at `address`, which must be http or https with a host (bty-contract section 2). */
export function serverAt(address: string): Where {
  const url = URL.parse(address);
  const fits = url !== null && (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '';
  if (!fits)
    return { kind: 'invalid', problem: `A server is an http or https address, not "${redacted(address)}".` };
  url.hash = '';
  url.search = '';
  const plain = url.href.replace(/\/+$/, '');
  return { kind: 'source', source: { kind: 'server', address: plain, shown: redacted(plain) } };
}

/** What was typed: an address, a folder, or nothing for the folder that is usual here. */
export function addressOf(text: string, usual: string): Where {
  const typed = text.trim();
  if (typed === '') return { kind: 'source', source: { kind: 'folder', path: usual } };
  if (/^[a-z][a-z0-9+.-]*:/i.test(typed) && !typed.startsWith('/')) return serverAt(typed);
  if (typed.startsWith('/')) return { kind: 'source', source: { kind: 'folder', path: typed } };
  // As people write it: an address without its scheme.
  if (/^(\[[0-9a-f:]+\]|[\w.-]+)(:\d+)?$/i.test(typed)) return serverAt(`http://${typed}`);
  return {
    kind: 'invalid',
    problem: 'Type the address of a server (http://ADDRESS:PORT), or a folder that begins with "/".',
  };
}

/** The address of an image in a server's list: relative ones are the server's own, and get its credentials. */
export function imageAddress(address: string, server: string): string | null {
  const url = URL.parse(address, `${server}/`);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null;
  const own = new URL(server);
  if (url.origin === own.origin && url.username === '' && url.password === '') {
    url.username = own.username;
    url.password = own.password;
  }
  return url.href;
}
