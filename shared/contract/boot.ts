/** What machines ask while they boot, and what their live system tells (`agent.ts` has the messages). */
import { Type } from 'typebox';
import { bodyBytes, Inventory, Plan, Progress, Status } from './agent.ts';
import { operations } from './operation.ts';

const script = 'text/plain; charset=utf-8';
const body = <Schema extends import('typebox').TSchema>(schema: Schema) =>
  ({ kind: 'json', schema, bytes: bodyBytes }) as const;

export const bootOperations = operations({
  bootstrap: {
    name: 'boot.bootstrap',
    method: 'GET',
    path: '/pxe-bootstrap.ipxe',
    access: 'open',
    boot: true,
    summary: 'The first iPXE script, the same for every machine: it asks for the machine’s own.',
    replies: { 200: { sentence: 'The script.', type: script } },
  },
  script: {
    name: 'boot.script',
    method: 'GET',
    path: '/pxe/{mac}',
    access: 'open',
    boot: true,
    summary: 'The iPXE script of one machine; a machine that nobody knows is entered.',
    query: Type.Object({
      /** SMBIOS UUID and serial number, as iPXE says them. */
      uuid: Type.Optional(Type.String({ maxLength: 64 })),
      serial: Type.Optional(Type.String({ maxLength: 256 })),
    }),
    replies: { 200: { sentence: 'The script.', type: script } },
  },
  ticket: {
    name: 'boot.ticket',
    method: 'GET',
    path: '/pxe/{mac}/ticket/{errand}',
    access: 'open',
    boot: true,
    summary: 'The token of a boot, as an initrd with one file. The address is in the script and works once.',
    replies: { 200: { sentence: 'A cpio archive.', type: 'application/octet-stream' } },
  },
  done: {
    name: 'boot.done',
    method: 'POST',
    path: '/pxe/{mac}/done',
    access: 'agent',
    boot: true,
    summary: 'The machine was flashed. The body is ignored.',
    description:
      'Without the token of the boot it counts only from the address that last fetched the script of that machine, ' +
      'while its plan is live, and is marked as unauthenticated; the setting `unauthenticated_done` refuses it.',
    body: { kind: 'ignored' },
    replies: { 204: { sentence: 'Noted.' } },
  },
  plan: {
    name: 'boot.plan',
    method: 'GET',
    path: '/pxe/{mac}/plan',
    access: 'agent',
    boot: true,
    summary: 'What the live system is to do.',
    replies: { 200: { sentence: 'The plan.', schema: Plan } },
  },
  inventory: {
    name: 'boot.inventory',
    method: 'POST',
    path: '/pxe/{mac}/inventory',
    access: 'agent',
    boot: true,
    summary: 'What the machine is made of.',
    body: body(Inventory),
    replies: { 204: { sentence: 'Noted.' } },
  },
  progress: {
    name: 'boot.progress',
    method: 'POST',
    path: '/pxe/{mac}/progress',
    access: 'agent',
    boot: true,
    summary: 'How far the flash is.',
    body: body(Progress),
    replies: { 204: { sentence: 'Go on.' }, 409: { sentence: 'The plan was withdrawn: stop.' } },
  },
  status: {
    name: 'boot.status',
    method: 'POST',
    path: '/pxe/{mac}/status',
    access: 'agent',
    boot: true,
    summary: 'The flash is done, or failed.',
    body: body(Status),
    replies: { 204: { sentence: 'Noted.' } },
  },
});
