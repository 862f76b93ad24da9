/** How the appliance is. */
import { Type } from 'typebox';
import { operations } from './operation.ts';

export const Health = Type.Object({ status: Type.Literal('ok') });
export const Version = Type.Object({ version: Type.String() });
export const Ready = Type.Object({
  status: Type.Union([Type.Literal('ready'), Type.Literal('not ready')]),
  checks: Type.Array(
    Type.Object({
      name: Type.String(),
      ok: Type.Boolean(),
      /** A sentence, when it is not. */
      reason: Type.Union([Type.String(), Type.Null()]),
    }),
  ),
});

export const systemOperations = operations({
  health: {
    name: 'system.health',
    method: 'GET',
    path: '/healthz',
    access: 'open',
    boot: true,
    summary: 'The appliance is alive.',
    replies: { 200: { sentence: 'It is.', schema: Health } },
  },
  ready: {
    name: 'system.ready',
    method: 'GET',
    path: '/readyz',
    access: 'open',
    summary: 'The appliance can do its work: database, disk, boot files, each with its reason.',
    replies: {
      200: { sentence: 'Everything is there.', schema: Ready },
      503: { sentence: 'Something is missing.', schema: Ready },
    },
  },
  version: {
    name: 'system.version',
    method: 'GET',
    path: '/version',
    access: 'open',
    boot: true,
    summary: 'Version of the appliance.',
    replies: { 200: { sentence: 'The version.', schema: Version } },
  },
  metrics: {
    name: 'system.metrics',
    method: 'GET',
    path: '/metrics',
    access: 'open',
    summary: 'Measurements in the form of Prometheus.',
    replies: { 200: { sentence: 'The measurements.', type: 'text/plain; version=0.0.4; charset=utf-8' } },
  },
  openapi: {
    name: 'system.openapi',
    method: 'GET',
    path: '/openapi.json',
    access: 'open',
    summary: 'This interface as an OpenAPI 3.1 document.',
    replies: { 200: { sentence: 'The document.', type: 'application/json' } },
  },
});
