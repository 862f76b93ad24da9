import { extname } from 'node:path';
import { accessOperations } from '../../../shared/contract/access.ts';
import { uiOperations } from '../../../shared/contract/ui.ts';
import { html, page } from '../html.ts';
import { type PageFile, pagesOf } from '../pages.ts';
import { Problem } from '../problem.ts';
import { type Answer, type Call, redirect, serve, text } from '../route.ts';
import type { Routes } from '../server.ts';
import { loginForm } from './access.ts';

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};
/** The page that was asked for before the login, for the page to read: the address of the redirect is the contract's. */
const nextCookie = 'bty-next';

export const uiRoutes: Routes = (app, services) => {
  const pages = pagesOf(services.config.uiDir);
  const index = async (call: Pick<Call, 'request'>, otherwise: () => string): Promise<Answer> => {
    const file = (await pages?.('index.html')) ?? null;
    const headers = { 'cache-control': 'no-store' };
    if (file === null) return text(otherwise(), 'text/html; charset=utf-8', 200, headers);
    return told(call, file, 'index.html', headers);
  };

  serve(app, services, uiOperations.root, () => redirect('/ui/login'));
  serve(app, services, uiOperations.ui, () => redirect('/ui/dashboard'));

  serve(app, services, accessOperations.loginPage, (call) => {
    if (call.principal?.kind === 'session') return redirect('/ui/dashboard');
    return index(call, () => loginForm(null));
  });

  serve(app, services, uiOperations.page, async (call) => {
    if (call.principal !== null) return index(call, () => plainPage(services.version));
    const wanted = encodeURIComponent(call.request.url.slice(0, 2000));
    const cookie = `${nextCookie}=${wanted}; Path=/ui/login; Max-Age=600; SameSite=Strict`;
    return redirect('/ui/login', { 'set-cookie': cookie });
  });

  serve(app, services, uiOperations.file, async (call) => {
    const name = call.params['*'] ?? '';
    const file = name.endsWith('.gz') ? null : ((await pages?.(name)) ?? null);
    if (file === null) throw new Problem(404, 'Not Found');
    // The packer puts a digest of the content into the names below assets/.
    const cache = name.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
    return told(call, file, name, { 'cache-control': cache });
  });
};

function told(
  { request }: Pick<Call, 'request'>,
  { bytes, gzip }: PageFile,
  name: string,
  headers: Readonly<Record<string, string>>,
): Answer {
  const type = types[extname(name)] ?? 'application/octet-stream';
  const packed = gzip !== null && takesGzip(request.headers['accept-encoding']);
  const more = gzip === null ? {} : { vary: 'accept-encoding' };
  const encoding: Readonly<Record<string, string>> = packed ? { 'content-encoding': 'gzip' } : {};
  return text(packed ? gzip : bytes, type, 200, { ...headers, ...more, ...encoding });
}

/** True when `header` (Accept-Encoding, RFC 9110 12.5.3) names gzip and does not refuse it. */
function takesGzip(header: string | string[] | undefined): boolean {
  const found = /(?:^|,)\s*gzip\s*(?:;\s*q=([0-9.]+))?\s*(?:,|$)/i.exec(String(header ?? ''));
  return found !== null && Number(found[1] ?? 1) > 0;
}

function plainPage(version: string): string {
  return page(
    'bty',
    html`<main><h1>bty ${version}</h1><p>The pages of the web interface are not installed; everything can be done
over HTTP, as <a href="/openapi.json">openapi.json</a> tells.</p>
<form method="post" action="/ui/logout"><button>Log out</button></form></main>`,
  );
}
