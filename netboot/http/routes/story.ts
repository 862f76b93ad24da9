/** The boot story, and the boot programs that lie in folders. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type BootSummary, storyOperations } from '../../../shared/contract/story.ts';
import { binaries } from '../../boot/binary.ts';
import { bootFilesOf } from '../../boot/part.ts';
import type { Services } from '../../services.ts';
import { diagnose, hints } from '../../story/diagnose.ts';
import { stepOfRequest } from '../../story/observe.ts';
import { storyOf } from '../../story/part.ts';
import { pcapOf } from '../../story/pcap.ts';
import type { KeptBoot } from '../../story/store.ts';
import { witnessOf } from '../../witness.ts';
import { clientAddress } from '../authority.ts';
import { fileContent, openRegular, typeOf } from '../content.ts';
import { Problem } from '../problem.ts';
import { handled, json, serve, text } from '../route.ts';
import type { Routes } from '../server.ts';
import { macOf } from './machines.ts';

const wireTime = (at: number) => new Date(at).toISOString();

function summary(boot: KeptBoot, now: number): BootSummary {
  return {
    id: boot.id,
    mac: boot.mac,
    started_at: wireTime(boot.startedAt),
    last_at: wireTime(boot.lastAt),
    stage: boot.stage,
    steps: boot.steps.length + boot.dropped,
    diagnosis: diagnose(boot, now),
  };
}

export const storyRoutes: Routes = (app, services) => {
  app.addHook('onResponse', async (request, reply) => observe(services, request, reply));

  serve(app, services, storyOperations.list, async ({ params, query }) => {
    const story = storyOf(services);
    await story.flush();
    const boots = story.list(macOf(params), query.limit ?? 20);
    return json(boots.map((boot) => summary(boot, services.clock())));
  });

  serve(app, services, storyOperations.get, async ({ params }) => {
    const [, number, pcap] = /^([0-9]{1,15})(\.pcap)?$/.exec(params.id ?? '') ?? [];
    const story = storyOf(services);
    await story.flush();
    const boot = number === undefined ? null : story.get(Number(number));
    if (boot === null) throw new Problem(404, `no boot has the number ${params.id}`);
    const datagrams = story.store.datagrams(boot.id);
    if (pcap) {
      // Whoever sends from a port of a server is the appliance, except a client of UEFI that uses 4011 too.
      const fromMachine = ({ from, to }: (typeof datagrams)[number]) =>
        to.port === 67 ||
        to.port === 69 ||
        (to.port === 4011 && from.port !== 67) ||
        !isOurs(datagrams, from.address);
      const file = pcapOf(boot.mac, datagrams, fromMachine);
      const name = `boot-${boot.mac.replaceAll(':', '-')}-${boot.id}.pcap`;
      const headers = { 'content-disposition': `attachment; filename="${name}"` };
      return text(file, 'application/vnd.tcpdump.pcap', 200, headers);
    }
    const steps = boot.steps.map(({ mac: _mac, ...step }) => ({ ...step, at: wireTime(step.at) }));
    const more = { dropped: boot.dropped, hints: hints(boot), datagrams: datagrams.length };
    return json({ ...summary(boot, services.clock()), steps, ...more });
  });

  serve(app, services, storyOperations.programs, () => {
    const { found } = bootFilesOf(services).survey();
    return json(
      binaries.map(({ name, platform, purpose, advice }) => {
        const one = found.get(name);
        const where = { path: one?.path ?? null, origin: one?.origin ?? null, size_bytes: one?.size ?? null };
        return { name, platform, purpose, ...where, advice: one ? null : advice };
      }),
    );
  });

  serve(app, services, storyOperations.program, async ({ params, request, reply }) => {
    const name = `${params.folder}/${params.name}`;
    const path = bootFilesOf(services).program(name);
    const opened = path === null ? null : await openRegular(path);
    if (!opened) throw new Problem(404, `no such file: ${name}`);
    reply.hijack();
    await services.images.sender.send(request.raw, reply.raw, fileContent(opened, null), {
      name,
      type: typeOf(name),
    });
    return handled;
  });
};

/** Our address is the one that answers from port 67, 4011 or 69, or that requests were sent to. */
function isOurs(
  datagrams: readonly {
    readonly from: { address: string; port: number };
    readonly to: { address: string; port: number };
  }[],
  address: string,
): boolean {
  return datagrams.some(
    ({ from, to }) =>
      (from.port === 67 && from.address === address) || (to.port === 69 && to.address === address),
  );
}

function observe(services: Services, request: FastifyRequest, reply: FastifyReply): void {
  const operation = request.routeOptions.config.operation?.name;
  if (operation === undefined) return;
  const step = stepOfRequest(operation, request, reply);
  if (step === null) return;
  const proxied = request.headers['x-forwarded-for'];
  const address = clientAddress(request.socket.remoteAddress, proxied, services.proxies);
  const { mac } = request.params as { mac?: string };
  const known = /^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(mac ?? '')
    ? (mac ?? '').toLowerCase().replaceAll('-', ':')
    : null;
  witnessOf(services).step({ at: services.clock(), mac: known, address, ...step });
}
