import { readFile, realpath, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { uiOperations } from '../../../shared/contract/ui.ts';
import { html, page } from '../html.ts';
import { Problem } from '../problem.ts';
import { redirect, serve, text } from '../route.ts';
import type { Routes } from '../server.ts';

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};
/** Largest file of the interface. */
const most = 16 * 1024 * 1024;

export const uiRoutes: Routes = (app, services) => {
  const { config } = services;
  serve(app, services, uiOperations.root, () => redirect('/ui/login'));
  serve(app, services, uiOperations.ui, () => redirect('/ui/dashboard'));

  serve(app, services, uiOperations.page, async ({ principal }) => {
    if (principal === null) return redirect('/ui/login');
    const index = config.uiDir === null ? null : await fileIn(config.uiDir, 'index.html');
    return text(index ?? plainPage(services.version), 'text/html; charset=utf-8', 200, {
      'cache-control': 'no-store',
    });
  });

  serve(app, services, uiOperations.file, async ({ params }) => {
    const name = params['*'] ?? '';
    const content = config.uiDir === null ? null : await fileIn(config.uiDir, name);
    if (content === null) throw new Problem(404, 'Not Found');
    // The packer puts a digest of the content into the names below assets/.
    const cache = name.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
    const type = types[extname(name)] ?? 'application/octet-stream';
    return text(content, type, 200, { 'cache-control': cache });
  });
};

/** A file below `folder`, null when there is none or it lies, by links, elsewhere. */
async function fileIn(folder: string, name: string): Promise<Buffer | null> {
  if (name.includes('\0')) return null;
  try {
    const root = await realpath(folder);
    const path = await realpath(join(root, name));
    if (!path.startsWith(root + sep)) return null;
    const found = await stat(path);
    return found.isFile() && found.size <= most ? await readFile(path) : null;
  } catch {
    return null;
  }
}

function plainPage(version: string): string {
  return page(
    'bty',
    html`<main><h1>bty ${version}</h1><p>The pages of the web interface are not installed; everything can be done
over HTTP, as <a href="/openapi.json">openapi.json</a> tells.</p>
<form method="post" action="/ui/logout"><button>Log out</button></form></main>`,
  );
}
