/** The OpenAPI document of a table of operations. */
import type { TSchema } from 'typebox';
import type { Operation } from './operation.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const errorSchema: Json = {
  type: 'object',
  required: ['detail'],
  properties: {
    detail: {
      description: 'A sentence; or, with 422, what is wrong and where.',
      anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'object' } }],
    },
    code: { type: 'string' },
    advice: { type: 'string' },
  },
};

const errorReply = (description: string): Json => ({
  description,
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
});

/** OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1) of `operations`. */
export function openapi(operations: readonly Operation[], version: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const operation of operations) {
    const path = operation.path.replace('...}', '}');
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: described(operation) };
  }
  return {
    openapi: '3.1.1',
    info: { title: 'bty appliance', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
    components: {
      schemas: { Error: errorSchema },
      securitySchemes: {
        session: { type: 'apiKey', in: 'cookie', name: 'bty-token' },
        token: { type: 'http', scheme: 'bearer', description: 'An API token.' },
        boot: { type: 'http', scheme: 'bearer', description: 'The token of a boot, for its live system.' },
      },
    },
  };
}

/** A schema is JSON Schema already; what hides in it beside is left behind. */
function plain(schema: TSchema): Json {
  return JSON.parse(JSON.stringify(schema)) as Json;
}

function described(operation: Operation): Json {
  const { access, body, query } = operation;
  const parameters: Json[] = [...operation.path.matchAll(/\{([a-z_]+)(?:\.\.\.)?\}/g)].map(
    ([, name = '']) => {
      return { name, in: 'path', required: true, schema: { type: 'string' } };
    },
  );
  for (const [name, schema] of Object.entries(query?.properties ?? {}))
    parameters.push({
      name,
      in: 'query',
      required: query?.required?.includes(name) === true,
      schema: plain(schema),
    });
  const responses: Record<string, Json> = {};
  for (const [status, form] of Object.entries(operation.replies)) {
    const type = form.type ?? (form.schema ? 'application/json' : null);
    responses[status] = {
      description: form.sentence,
      ...(type === null
        ? {}
        : { content: { [type.split(';')[0] ?? type]: { schema: form.schema ? plain(form.schema) : {} } } }),
    };
  }
  const refusals: Record<string, string> = {
    ...(access === 'open' ? {} : { 401: 'Not logged in.' }),
    ...(access === 'open' ? {} : { 403: 'Not allowed.' }),
    ...(body || query ? { 422: 'Something does not fit.' } : {}),
  };
  for (const [status, sentence] of Object.entries(refusals)) responses[status] ??= errorReply(sentence);
  return {
    operationId: operation.name,
    tags: [operation.name.split('.')[0] ?? ''],
    summary: operation.summary,
    ...(operation.description ? { description: operation.description } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: bodyOf(operation) } : {}),
    responses,
    security: securityOf(operation),
    ...(access === 'open' || access === 'agent' ? {} : { 'x-scope': access }),
  };
}

function bodyOf({ body }: Operation): Json {
  switch (body?.kind) {
    case 'json':
      return {
        required: body.optional !== true,
        content: { 'application/json': { schema: plain(body.schema) } },
      };
    case 'form':
      return {
        required: true,
        content: { 'application/x-www-form-urlencoded': { schema: plain(body.schema) } },
      };
    default:
      return { content: { 'application/octet-stream': { schema: {} } } };
  }
}

function securityOf({ access }: Operation): Json {
  if (access === 'open') return [];
  return access === 'agent' ? [{ boot: [] }] : [{ session: [] }, { token: [] }];
}
