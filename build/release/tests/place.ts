/** Where a release lies that is fetched: a plain directory over HTTP, and a key that signs. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { until } from '../../../netboot/testing/files.ts';
import type { TestAppliance } from '../../../netboot/testing.ts';
import { parseSecretKey, type SecretKey } from '../sign.ts';

/** A plain directory over HTTP, as any web server gives it. Resolves its address. */
export async function serve(context: TestContext, folder: string): Promise<string> {
  const server = createServer((request, response) => {
    const path = join(folder, decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname));
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found?.isFile()) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-length': found.size });
    if (request.method === 'HEAD') response.end();
    else createReadStream(path).pipe(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
}

export interface TestKey {
  readonly key: SecretKey;
  /** File of the secret key. */
  readonly secret: string;
  /** File of the public key. */
  readonly file: string;
}

/** A pair of keys that minisign makes in `folder`. */
export function newKey(folder: string): TestKey {
  const [secret, file] = [join(folder, 'key'), join(folder, 'pub')];
  execFileSync('minisign', ['-G', '-f', '-W', '-p', file, '-s', secret], { stdio: 'ignore' });
  return { key: parseSecretKey(readFileSync(secret, 'utf8')), secret, file };
}

/** Asks the appliance to fetch the release `tag`; resolves how that ended. */
export async function fetched(
  appliance: TestAppliance,
  tag: string,
): Promise<{ readonly status: string; readonly error: string | null }> {
  const asked = await appliance.askAdmin('/boot/releases', { method: 'POST', body: JSON.stringify({ tag }) });
  if (asked.status !== 202) throw new Error(await asked.text());
  return until(
    `the release ${tag} is settled`,
    async () => {
      const answer = await appliance.askAdmin('/boot/releases');
      const { fetches } = (await answer.json()) as {
        fetches: { tag: string; status: string; error: string | null }[];
      };
      return fetches.find((one) => one.tag === tag && !['queued', 'running'].includes(one.status));
    },
    120_000,
  );
}
