/** HTTP as a machine speaks it: each request from the address that the machine leased. */
import { createHash } from 'node:crypto';
import { type Agent, type IncomingMessage, request } from 'node:http';

export interface Asked {
  /** Own address. */
  readonly from: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Its connections are used again; without one each request has its own. */
  readonly agent?: Agent;
}

function ask<Value>(
  url: string,
  { from, method = 'GET', headers = {}, body, agent }: Asked,
  read: (response: IncomingMessage) => Promise<Value>,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const options = {
      method,
      localAddress: from,
      agent: agent ?? (false as const),
      timeout: 60_000,
      headers,
    };
    const asked = request(url, options, (response) => {
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) read(response).then(resolve, reject);
      else {
        response.resume();
        reject(new Error(`${method} ${url}: status ${status}`));
      }
    });
    asked.on('timeout', () => asked.destroy(new Error(`${method} ${url}: no answer`)));
    asked.on('error', reject);
    asked.end(body);
  });
}

/** Answers the text of the reply. Rejects what is not 2xx. */
export function get(url: string, asked: Asked): Promise<string> {
  return ask(url, asked, async (response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString('latin1');
  });
}

/** Loads a file and keeps none of it: its bytes and their SHA-256. Rejects one that ends early. */
export function load(url: string, asked: Asked): Promise<{ bytes: number; sha256: string }> {
  return ask(url, asked, async (response) => {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of response) {
      bytes += (chunk as Buffer).length;
      hash.update(chunk as Buffer);
    }
    const said = response.headers['content-length'];
    if (said !== undefined && Number(said) !== bytes) throw new Error(`${url} ended after ${bytes} bytes`);
    return { bytes, sha256: hash.digest('hex') };
  });
}

/** Length of a file, as HEAD says it. */
export function lengthOf(url: string, asked: Asked): Promise<number> {
  return ask(url, { ...asked, method: 'HEAD' }, async (response) => {
    response.resume();
    return Number(response.headers['content-length'] ?? Number.NaN);
  });
}
