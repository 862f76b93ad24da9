/** Machines, what they ask while they boot, roll-outs, boots and events. */
import { mkdirSync, writeFileSync } from 'node:fs';
import {
  bootLive,
  doneOf,
  errandOf,
  image,
  inventoryOf,
  progressOf,
  scriptOf,
} from '../../machines/testing.ts';
import type { Ask, Rows, Stage } from './stage.ts';

const etag = { 'if-match': '"another"' };

async function known(at: Stage): Promise<string> {
  const mac = at.mac();
  await at.done('PUT', `/machines/${mac}`, {});
  return mac;
}

export const machineRows: Rows = {
  'machine.list': { 200: (at) => at.ask('GET', '/machines') },
  'machine.get': {
    200: async (at) => at.ask('GET', `/machines/${await known(at)}`),
    400: (at) => at.ask('GET', '/machines/none'),
    404: (at) => at.ask('GET', `/machines/${at.mac()}`),
  },
  'machine.put': {
    200: (at) => at.ask('PUT', `/machines/${at.mac()}`, { image_sha256: image, boot_policy: 'flash' }),
    400: (at) => at.ask('PUT', '/machines/none', {}),
    412: async (at) => at.ask('PUT', `/machines/${await known(at)}`, {}, etag),
  },
  'machine.patch': {
    200: async (at) => at.ask('PATCH', `/machines/${await known(at)}`, { notes: 'rack 3' }),
    400: (at) => at.ask('PATCH', '/machines/none', {}),
    404: (at) => at.ask('PATCH', `/machines/${at.mac()}`, {}),
    412: async (at) => at.ask('PATCH', `/machines/${await known(at)}`, {}, etag),
  },
  'machine.delete': {
    204: async (at) => at.ask('DELETE', `/machines/${await known(at)}`),
    400: (at) => at.ask('DELETE', '/machines/none'),
    404: (at) => at.ask('DELETE', `/machines/${at.mac()}`),
    412: async (at) => at.ask('DELETE', `/machines/${await known(at)}`, undefined, etag),
  },
  'machine.inventory': {
    200: async (at) => {
      const mac = await at.armed();
      await (await bootLive(at.appliance, mac)).ask('inventory', inventory(at));
      return at.ask('GET', `/machines/${mac}/inventory`);
    },
    400: (at) => at.ask('GET', '/machines/none/inventory'),
    404: async (at) => at.ask('GET', `/machines/${await known(at)}/inventory`),
  },
  'machine.act': {
    200: async (at) => at.ask('POST', '/machines/actions', { action: 'disarm', macs: [await known(at)] }),
    409: async (at) => {
      const macs = [await known(at), await known(at)];
      return at.ask('POST', '/machines/actions', { action: 'disarm', macs, limit: 1 });
    },
  },
  'machine.ui-save': {
    303: async (at) =>
      at.open('POST', `/ui/machines/${await known(at)}`, new URLSearchParams({ hostname: 'a' })),
  },
  'machine.ui-delete': { 303: async (at) => at.open('POST', `/ui/machines/${await known(at)}/delete`) },
};

const inventory = (at: Stage) =>
  inventoryOf(`4c4c4544-0042-3510-8051-${String(at.next()).padStart(12, '0')}`, `S${at.next()}`);

/** What the live system of a machine asks, with the token of its boot and without. */
const live =
  (
    path: string,
    body: (at: Stage, plan: string) => unknown,
    before?: (at: Stage, mac: string) => Promise<unknown>,
  ): Ask =>
  async (at) => {
    const mac = await at.armed();
    const system = await bootLive(at.appliance, mac);
    const { id } = await system.plan();
    await before?.(at, mac);
    return system.ask(path, body(at, id));
  };
const stranger =
  (method: string, path: string, body?: object): Ask =>
  async (at) =>
    at.open(method, `/pxe/${await at.armed()}/${path}`, body, { authorization: 'Bearer bty_nonsense' });

export const bootRows: Rows = {
  'boot.bootstrap': { 200: (at) => at.open('GET', '/pxe-bootstrap.ipxe') },
  'boot.script': {
    200: (at) => at.open('GET', `/pxe/${at.mac()}`),
    400: (at) => at.open('GET', '/pxe/none'),
  },
  'boot.ticket': {
    200: async (at) => at.open('GET', errandOf(await scriptOf(at.appliance, await at.armed()))),
    400: (at) => at.open('GET', '/pxe/none/ticket/x'),
    404: async (at) => at.open('GET', `/pxe/${await at.armed()}/ticket/x`),
  },
  'boot.done': {
    204: live('done', () => ({})),
    400: (at) => at.open('POST', '/pxe/none/done'),
    401: stranger('POST', 'done'),
    403: async (at) => at.open('POST', `/pxe/${await at.armed()}/done`),
    404: (at) => at.open('POST', `/pxe/${at.mac()}/done`),
  },
  'boot.plan': {
    200: async (at) => (await bootLive(at.appliance, await at.armed())).ask('plan'),
    400: (at) => at.open('GET', '/pxe/none/plan'),
    401: stranger('GET', 'plan'),
  },
  'boot.inventory': {
    204: live('inventory', (at) => inventory(at)),
    400: (at) => at.open('POST', '/pxe/none/inventory', {}),
    401: stranger('POST', 'inventory', {}),
    422: live('inventory', () => ({})),
  },
  'boot.progress': {
    204: live('progress', (_, plan) => progressOf(plan, 'writing', 10)),
    400: (at) => at.open('POST', '/pxe/none/progress', {}),
    401: stranger('POST', 'progress', {}),
    409: live(
      'progress',
      (_, plan) => progressOf(plan, 'writing', 10),
      (at, mac) => at.done('PATCH', `/machines/${mac}`, { boot_policy: 'local' }),
    ),
    422: live('progress', () => ({})),
  },
  'boot.status': {
    204: live('status', (_, plan) => doneOf(plan)),
    400: (at) => at.open('POST', '/pxe/none/status', {}),
    401: stranger('POST', 'status', {}),
    422: live('status', () => ({})),
  },
  'boots.list': {
    200: async (at) => at.ask('GET', `/machines/${await known(at)}/boots`),
    400: (at) => at.ask('GET', '/machines/none/boots'),
  },
  'boots.get': {
    200: async (at) => {
      const mac = await at.armed();
      await scriptOf(at.appliance, mac);
      const [boot] = JSON.parse(String((await at.done('GET', `/machines/${mac}/boots`)).list)) as {
        id: number;
      }[];
      return at.ask('GET', `/boots/${boot?.id}`);
    },
    404: (at) => at.ask('GET', '/boots/999999'),
  },
  'boot.programs': { 200: (at) => at.ask('GET', '/boot-programs') },
  'boot.program': {
    200: async (at) => {
      const ipxeDir = at.file('ipxe');
      mkdirSync(`${ipxeDir}/arm64`, { recursive: true });
      writeFileSync(`${ipxeDir}/arm64/snponly.efi`, 'MZ');
      return (await at.other({ ipxeDir })).open('GET', '/boot/arm64/snponly.efi');
    },
    404: (at) => at.open('GET', '/boot/arm64/none.efi'),
  },
};

const order = (macs: readonly string[], more: object = {}) => ({
  image_sha256: image,
  macs,
  allowed: 0,
  ...more,
});
const begun = async (at: Stage) => (await at.done('POST', '/rollouts', order([await known(at)]))).id;

export const rolloutRows: Rows = {
  'rollout.list': { 200: (at) => at.ask('GET', '/rollouts') },
  'rollout.get': {
    200: async (at) => at.ask('GET', `/rollouts/${await begun(at)}`),
    404: (at) => at.ask('GET', '/rollouts/999999'),
  },
  'rollout.begin': {
    201: async (at) => at.ask('POST', '/rollouts', order([await known(at)])),
    409: async (at) => at.ask('POST', '/rollouts', order([await known(at), await known(at)], { limit: 1 })),
  },
  'rollout.cancel': {
    200: async (at) => at.ask('POST', `/rollouts/${await begun(at)}/cancel`),
    404: (at) => at.ask('POST', '/rollouts/999999/cancel'),
  },
};

export const eventRows: Rows = {
  'event.list': { 200: (at) => at.ask('GET', '/events') },
  'event.machines': { 200: (at) => at.ask('GET', '/events/machines') },
  'event.stream': { 200: (at) => at.ask('GET', '/events/stream') },
};
