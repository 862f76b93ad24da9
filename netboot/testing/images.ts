/** What tests ask the appliance about images. */
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import type { TestAppliance } from '../testing.ts';

export const rootOf = (appliance: TestAppliance) => join(appliance.stateDir, 'images');

export async function value(response: Promise<Response>, status = 200): Promise<unknown> {
  const answer = await response;
  const text = await answer.text();
  assert.equal(answer.status, status, text);
  return text === '' ? null : JSON.parse(text);
}

export const listed = async (appliance: TestAppliance) =>
  (await value(appliance.ask('/images'))) as Record<string, unknown>[];

export async function bytesOf(appliance: TestAppliance, path: string): Promise<Buffer> {
  const response = await appliance.ask(path);
  assert.equal(response.status, 200);
  return Buffer.from(await response.arrayBuffer());
}

export const put = (appliance: TestAppliance, path: string, body: Buffer | string, headers = {}) =>
  appliance.askAdmin(path, { method: 'PUT', body: new Uint8Array(Buffer.from(body)), headers });

export const kinds = (appliance: TestAppliance): string[] =>
  appliance.services.events
    .list({ limit: 500 })
    .map(({ kind }) => kind)
    .reverse();

/** A request whose path reaches the server as it is written. */
export function raw(appliance: TestAppliance, method: string, path: string, body = '', token?: string) {
  const { hostname, port } = new URL(appliance.url);
  return new Promise<{ status: number; detail: unknown }>((resolve, reject) => {
    const headers = {
      ...(body === '' ? {} : { 'content-length': String(body.length) }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const request = httpRequest({ host: hostname, port, method, path, headers, agent: false });
    request.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => {
        const text = Buffer.concat(pieces).toString();
        const detail = text.startsWith('{') ? (JSON.parse(text) as { detail: unknown }).detail : text;
        resolve({ status: response.statusCode ?? 0, detail });
      });
    });
    request.on('error', reject);
    request.end(Buffer.from(body, 'latin1'));
  });
}
