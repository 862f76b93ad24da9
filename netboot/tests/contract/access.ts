/** Logging in, the appliance itself, and its pages. */
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { testPassword } from '../../testing.ts';
import { type Ask, type Rows, repeated, type Stage } from './stage.ts';

const form = (fields: Record<string, string>) => new URLSearchParams(fields);
const unknownId = '/00000000-0000-4000-8000-000000000000';

async function session(at: Stage, method: string, path: string, body?: URLSearchParams): Promise<Response> {
  return at.open(method, path, body, { cookie: await at.appliance.logIn() });
}

async function token(at: Stage): Promise<string> {
  const made = await at.done('POST', '/access/tokens', { name: `row ${at.next()}`, scope: 'read' });
  return String(made.id);
}

export const accessRows: Rows = {
  'access.login-page': {
    200: (at) => at.open('GET', '/ui/login'),
    303: (at) => session(at, 'GET', '/ui/login'),
  },
  'access.login': {
    200: async (at) => (await at.other()).open('POST', '/ui/login', form({ password: 'wrong' })),
    303: (at) => at.open('POST', '/ui/login', form({ password: testPassword })),
    422: (at) => at.open('POST', '/ui/login', form({ other: '1' })),
    429: async (at) => {
      const other = await at.other();
      return repeated(50, 429, () => other.open('POST', '/ui/login', form({ password: 'wrong' })));
    },
  },
  'access.logout': { 303: (at) => session(at, 'POST', '/ui/logout') },
  'access.who': { 200: (at) => at.ask('GET', '/access/who') },
  'access.list-sessions': {
    200: async (at) => {
      await at.appliance.logIn();
      return at.ask('GET', '/access/sessions');
    },
  },
  'access.end-session': {
    204: async (at) => {
      await at.appliance.logIn();
      const [first] = JSON.parse(String((await at.done('GET', '/access/sessions')).list)) as { id: string }[];
      return at.ask('DELETE', `/access/sessions/${first?.id}`);
    },
    404: (at) => at.ask('DELETE', `/access/sessions${unknownId}`),
  },
  'access.end-sessions': { 204: (at) => at.ask('DELETE', '/access/sessions') },
  'access.change-password': {
    204: async (at) => {
      const body = { current: testPassword, password: 'another long one' };
      return (await at.other()).ask('PUT', '/access/password', body);
    },
    403: async (at) => {
      const body = { current: 'wrong', password: 'another long one' };
      return (await at.other()).ask('PUT', '/access/password', body);
    },
    429: async (at) => {
      const other = await at.other();
      const body = { current: 'wrong', password: 'another long one' };
      return repeated(50, 429, () => other.ask('PUT', '/access/password', body));
    },
  },
  'access.list-tokens': { 200: (at) => at.ask('GET', '/access/tokens') },
  'access.create-token': {
    201: (at) => at.ask('POST', '/access/tokens', { name: `row ${at.next()}`, scope: 'operate' }),
    409: async (at) => {
      const body = { name: `row ${at.next()}`, scope: 'read' };
      await at.done('POST', '/access/tokens', body);
      return at.ask('POST', '/access/tokens', body);
    },
  },
  'access.delete-token': {
    204: async (at) => at.ask('DELETE', `/access/tokens/${await token(at)}`),
    404: (at) => at.ask('DELETE', `/access/tokens${unknownId}`),
  },
};

const offered: Ask = async (at) => {
  const backup = new Uint8Array(await (await at.ask('GET', '/backup')).arrayBuffer());
  return at.ask('PUT', '/restore', backup);
};

export const systemRows: Rows = {
  'system.health': { 200: (at) => at.open('GET', '/healthz') },
  'system.ready': {
    200: (at) => at.open('GET', '/readyz'),
    503: async (at) => (await at.other({ bootDir: at.file('nothing-here') })).open('GET', '/readyz'),
  },
  'system.version': { 200: (at) => at.open('GET', '/version') },
  'system.metrics': { 200: (at) => at.open('GET', '/metrics') },
  'system.openapi': { 200: (at) => at.open('GET', '/openapi.json') },
  'system.overview': { 200: (at) => at.ask('GET', '/overview') },
  'system.settings': { 200: (at) => at.ask('GET', '/settings') },
  'system.interfaces': { 200: (at) => at.ask('GET', '/network/interfaces') },
  'system.audit': { 200: (at) => at.ask('GET', '/audit') },
  'system.live': { 200: (at) => at.ask('GET', '/live-systems') },
  'system.backup': { 200: (at) => at.ask('GET', '/backup') },
  'system.retention': { 200: (at) => at.ask('GET', '/settings/retention') },
  'system.retain': { 200: (at) => at.ask('PUT', '/settings/retention', { days: null }) },
  'system.offer': { 200: async (at) => offered(await at.other()) },
  'system.restore': {
    202: async (at) => {
      const other = await at.other();
      const { sha256 } = (await (await offered(other)).json()) as { sha256: string };
      return other.ask('POST', '/restore', { sha256 });
    },
    409: (at) => at.ask('POST', '/restore', { sha256: createHash('sha256').digest('hex') }),
  },
  'system.withdraw': { 204: (at) => at.ask('DELETE', '/restore') },
};

export const pageRows: Rows = {
  'ui.root': { 303: (at) => at.open('GET', '/') },
  'ui.ui': { 303: (at) => at.open('GET', '/ui') },
  'ui.page': {
    200: (at) => session(at, 'GET', '/ui/machines'),
    303: (at) => at.open('GET', '/ui/machines'),
  },
  'ui.file': {
    200: async (at) => {
      const uiDir = at.file('pages');
      mkdirSync(uiDir, { recursive: true });
      writeFileSync(`${uiDir}/index.html`, '<!doctype html>');
      writeFileSync(`${uiDir}/page.js`, '1');
      return (await at.other({ uiDir })).open('GET', '/static/page.js');
    },
    404: (at) => at.open('GET', '/static/none.js'),
  },
  'form.catalog-entry': {
    303: (at) => session(at, 'POST', '/ui/catalog/entries', form({ image_url: 'http://127.0.0.1:1/f.img' })),
  },
  'form.pxe-activate': {
    200: (at) => session(at, 'POST', '/ui/settings/pxe-activate', form({ interface: 'nosuch0' })),
    303: (at) => at.open('POST', '/ui/settings/pxe-activate', form({ interface: 'nosuch0' })),
  },
  'form.fetch-release': {
    200: (at) => session(at, 'POST', '/ui/boot/fetch-release', form({ tag: 'v1' })),
    303: (at) => at.open('POST', '/ui/boot/fetch-release', form({ tag: 'v1' })),
  },
};

const mac = (at: Stage) => ({ mac: at.mac(), address: `10.99.${at.next() >> 8}.${at.next() & 255}` });

export const networkRows: Rows = {
  'dhcp.states': { 200: (at) => at.ask('GET', '/dhcp') },
  'tftp.states': { 200: (at) => at.ask('GET', '/tftp') },
  'dhcp.settings': { 200: (at) => at.ask('GET', '/dhcp/settings') },
  'dhcp.configure': {
    200: (at) => at.ask('PUT', '/dhcp/settings', { interfaces: [] }),
    // Another program has the port: only root could have taken it here.
    409: async (at) => {
      const other = createSocket('udp4');
      other.on('error', () => {});
      other.bind({ port: 67, address: '127.0.0.1', exclusive: true });
      await Promise.race([once(other, 'listening'), once(other, 'error')]);
      const answer = await at.ask('PUT', '/dhcp/settings', {
        interfaces: [{ interface: 'lo', mode: 'proxy' }],
      });
      other.close();
      return answer;
    },
  },
  'dhcp.leases': { 200: (at) => at.ask('GET', '/dhcp/leases') },
  'dhcp.import': { 204: (at) => at.ask('POST', '/dhcp/leases', { leases: [], reservations: [] }) },
  'dhcp.forget': {
    204: async (at) => {
      const { mac: who, address } = mac(at);
      const lease = { address, state: 'bound', key: `1/${who.replaceAll(':', '')}`, mac: who };
      const rest = { uuid: null, hostName: null, vendorClass: null, interface: 'lab0' };
      const times = { since: 1, expires: 2 };
      await at.done('POST', '/dhcp/leases', { leases: [{ ...lease, ...rest, ...times }], reservations: [] });
      return at.ask('DELETE', `/dhcp/leases/${address}`);
    },
    404: (at) => at.ask('DELETE', '/dhcp/leases/10.98.0.1'),
  },
  'dhcp.reservations': { 200: (at) => at.ask('GET', '/dhcp/reservations') },
  'dhcp.reserve': {
    200: (at) => {
      const { mac: who, address } = mac(at);
      return at.ask('PUT', `/dhcp/reservations/${who}`, { address });
    },
    422: (at) => at.ask('PUT', '/dhcp/reservations/none', { address: '10.98.0.1' }),
  },
  'dhcp.unreserve': {
    204: async (at) => {
      const { mac: who, address } = mac(at);
      await at.done('PUT', `/dhcp/reservations/${who}`, { address });
      return at.ask('DELETE', `/dhcp/reservations/${who}`);
    },
    404: (at) => at.ask('DELETE', `/dhcp/reservations/${at.mac()}`),
  },
  'dhcp.forgive': {
    204: (at) => at.ask('DELETE', `/dhcp/memory/${at.mac()}`),
    400: (at) => at.ask('DELETE', '/dhcp/memory/none'),
  },
  'dhcp.explain': { 200: (at) => at.ask('POST', '/dhcp/explain', { mac: at.mac(), arch: 7 }) },
};
