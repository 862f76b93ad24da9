import { cpioOfFile } from '../../../shared/archive/cpio.ts';
import { type Ticket, ticketPath } from '../../../shared/contract/agent.ts';
import { bootOperations } from '../../../shared/contract/boot.ts';
import { bootstrapScript, type LiveSystem, machineScript, type Script } from '../../boot/script.ts';
import type { Netboot } from '../../machines/boots.ts';
import { imagePath, unknownName } from '../../machines/images.ts';
import type { Services } from '../../services.ts';
import { witnessOf } from '../../witness.ts';
import { Problem } from '../problem.ts';
import { type Call, type Entitle, empty, type Handler, json, serve, text } from '../route.ts';
import type { Routes } from '../server.ts';
import { macOf } from './machines.ts';

const scriptType = 'text/plain; charset=utf-8';
const noStore = { 'cache-control': 'no-store' };

export const pxeRoutes: Routes = (app, services) => {
  const { boots } = services;

  serve(app, services, bootOperations.bootstrap, (call) => {
    return text(bootstrapScript(baseOf(services, call)), scriptType, 200, noStore);
  });

  serve(app, services, bootOperations.script, async (call) => {
    const mac = macOf(call.params);
    const { uuid, serial } = call.query;
    // A look is no netboot.
    if (call.request.method === 'HEAD') return text('', scriptType, 200, noStore);
    const systems = await services.live.installed();
    const canStart = systems.length > 0;
    const netboot = await boots.netboot({ mac, address: call.address, uuid, serial, canStart });
    const script = scriptOf(services, netboot, systems);
    tellScript(services, mac, call.address, script, netboot.action.kind);
    const context = { base: baseOf(services, call), mac: netboot.record.mac };
    return text(machineScript(script, context), scriptType, 200, noStore);
  });

  serve(app, services, bootOperations.ticket, async (call) => {
    const mac = macOf(call.params);
    const { errand = '' } = call.params;
    const used = new Problem(404, 'no such ticket, or it was used');
    if (call.request.method === 'HEAD') {
      // A look must not use the ticket up.
      if (!boots.ticketWaits(mac, errand, call.address)) throw used;
      return text('', 'application/octet-stream', 200, noStore);
    }
    const token = await boots.redeem(mac, errand, call.address);
    if (token === null) throw used;
    const ticket: Ticket = { token, ca_fingerprint: services.fingerprint() };
    const content = new TextEncoder().encode(JSON.stringify(ticket));
    return text(Buffer.from(cpioOfFile(ticketPath, content)), 'application/octet-stream', 200, noStore);
  });

  serve(app, services, bootOperations.done, async ({ params, bearer, address }) => {
    await boots.done(macOf(params), bearer, address);
    return empty();
  });

  // The token comes before the fields, as everywhere.
  const entitle: Entitle = ({ params, bearer, address }) => boots.authorize(macOf(params), bearer, address);

  const plan: Handler<typeof bootOperations.plan> = async ({ params, address }) => {
    return json(await boots.plan(macOf(params), address), 200, noStore);
  };
  serve(app, services, bootOperations.plan, plan, entitle);

  const inventory: Handler<typeof bootOperations.inventory> = async ({ params, body, address }) => {
    await boots.inventory(macOf(params), body, address);
    return empty();
  };
  serve(app, services, bootOperations.inventory, inventory, entitle);

  const progress: Handler<typeof bootOperations.progress> = async ({ params, body, address }) => {
    const current = await boots.progress(macOf(params), body, address);
    if (!current) throw new Problem(409, 'the plan was withdrawn');
    return empty();
  };
  serve(app, services, bootOperations.progress, progress, entitle);

  const status: Handler<typeof bootOperations.status> = async ({ params, body, address }) => {
    await boots.status(macOf(params), body, address);
    return empty();
  };
  serve(app, services, bootOperations.status, status, entitle);
};

/** Address by which machines reach the appliance: the setting, else the (well-formed) name they asked by. */
function baseOf({ config }: Services, { host }: Pick<Call, 'host'>): string {
  return (config.publicUrl ?? `http://${host}`).replace(/\/+$/, '');
}

/** The boot story hears which script a machine got. */
function tellScript(services: Services, mac: string, address: string, script: Script, reason: string): void {
  const who = { at: services.clock(), mac, address };
  const action = script.kind === 'live' ? script.mode : script.kind;
  const witness = witnessOf(services);
  witness.step({ ...who, kind: 'script', script: 'machine', action, reason });
  if (script.kind === 'disk') witness.step({ ...who, kind: 'local-boot', how: script.because });
}

function scriptOf(
  services: Services,
  { action, errand, record }: Netboot,
  systems: readonly LiveSystem[],
): Script {
  switch (action.kind) {
    case 'flash':
    case 'interactive':
    case 'inventory': {
      if (errand === null) return { kind: 'disk', because: 'there is no ticket for the live system' };
      const sha256 = record.imageSha256;
      const image = sha256 === null ? null : services.images.find(sha256);
      // It comes while the machine starts.
      if (image && !image.here) services.images.ensure(image.sha256);
      const path = sha256 === null ? null : imagePath(sha256, image?.name ?? unknownName);
      const { liveShell: shell } = services.config;
      return { kind: 'live', mode: action.kind, systems, errand, imagePath: path, shell };
    }
    case 'missing': {
      const missing = 'the live system is not installed on the appliance (its boot page says how)';
      return action.wanted === 'flash'
        ? { kind: 'wait', reasons: [missing], seconds: 30 }
        : { kind: 'disk', because: missing };
    }
    case 'busy':
      return { kind: 'wait', reasons: ['this machine is being flashed, from another address'], seconds: 30 };
    case 'disk': {
      const because = action.because === 'finished' ? 'it is done; the disk is booted' : 'the disk is booted';
      return { kind: 'disk', because };
    }
    case 'nothing':
      return { kind: 'nothing' };
    case 'stopped': {
      const often = `it started the live system ${action.boots} times in ${action.minutes} minutes and never finished`;
      const reasons = [often, 'it was stopped; arm it again when its fault is mended'];
      return { kind: 'wait', reasons, seconds: 60 };
    }
    case 'mistaken': {
      const because = `another board (${action.uuid}) has this address; it was not flashed, the disk is booted`;
      return { kind: 'disk', because };
    }
  }
}
