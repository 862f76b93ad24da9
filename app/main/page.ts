import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { app, protocol, type Session, type WebContents } from 'electron';
import { urlOf } from '../../shared/app/url.ts';

/**
 * Our page has a scheme of its own, so that it has an origin (a file has none), and so that nothing but the files of
 * the page can be asked for with it.
 */
export const scheme = 'bty-app';
const host = 'window';
export const pageAddress = `${scheme}://${host}/index.html`;

/** What the page may load: its own files. No address elsewhere, no text as program, no frame. */
export const contentPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
};

/** To be called before the app is ready. */
export function declareScheme(): void {
  protocol.registerSchemesAsPrivileged([
    { scheme, privileges: { standard: true, secure: true, supportFetchAPI: true } },
  ]);
}

export function isOurPage(address: string): boolean {
  return address === pageAddress || address.startsWith(`${pageAddress}#`);
}

/** Serves the files of the page in `folder` to `session`, and lets the session load nothing else. */
export function servePage(session: Session, folder: string): void {
  session.protocol.handle(scheme, async (request) => {
    const file = fileFor(request.url, folder);
    const type = file === null ? undefined : types[extname(file)];
    if (file === null || type === undefined || request.method !== 'GET')
      return new Response(null, { status: 404 });
    const body = await readFile(file).catch(() => null);
    if (body === null) return new Response(null, { status: 404 });
    const headers = {
      'content-type': type,
      'content-security-policy': contentPolicy,
      'x-content-type-options': 'nosniff',
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
    };
    return new Response(new Uint8Array(body), { headers });
  });
  session.webRequest.onBeforeRequest((details, answer) => {
    const allowed = details.url.startsWith(`${scheme}://${host}/`) || details.url.startsWith('devtools://');
    answer({ cancel: !allowed });
  });
  session.setPermissionRequestHandler((_contents, _permission, answer) => answer(false));
  session.setPermissionCheckHandler(() => false);
  // Nothing that the page has is a file to be kept: what a person saves goes through the bridge.
  session.on('will-download', (event) => event.preventDefault());
  session.setSpellCheckerEnabled(false);
}

/** The file of the page that `address` names, null when it names something else. */
export function fileFor(address: string, folder: string): string | null {
  const url = urlOf(address);
  if (url?.protocol !== `${scheme}:` || url.host !== host) return null;
  let path: string;
  try {
    path = decodeURIComponent(url.pathname);
  } catch {
    return null;
  }
  if (path.includes('\0')) return null;
  const file = normalize(join(folder, path));
  return file.startsWith(join(folder, '/')) ? file : null;
}

/**
 * Denies every page, ours included, to open windows, to go elsewhere, and to bring pages into itself; `mayGo` says
 * which pages go where nevertheless.
 */
export function confinePages(mayGo: (contents: WebContents, address: string) => boolean): void {
  app.on('web-contents-created', (_event, contents) => {
    const guard = (event: Electron.Event, address: string) => {
      if (!mayGo(contents, address)) event.preventDefault();
    };
    contents.setWindowOpenHandler(() => ({ action: 'deny' }));
    contents.on('will-navigate', guard);
    contents.on('will-redirect', guard);
    contents.on('will-attach-webview', (event) => event.preventDefault());
  });
}
