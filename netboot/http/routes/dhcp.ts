import { Check } from 'typebox/value';
import { DhcpReservation, dhcpOperations } from '../../../shared/contract/dhcp.ts';
import { failure } from '../../../shared/failure.ts';
import { normalMac } from '../../../shared/machine/mac.ts';
import { parseAddress } from '../../dhcp/address.ts';
import { explain } from '../../dhcp/explain.ts';
import { dhcpOf } from '../../dhcp/part.ts';
import { leaseWire, reservationWire, type Store } from '../../dhcp/store.ts';
import { tftpOf } from '../../tftp/part.ts';
import { Problem } from '../problem.ts';
import { type Call, empty, type Headers, json, serve } from '../route.ts';
import type { Routes } from '../server.ts';
import { actorOf } from './access.ts';
import { macOf } from './machines.ts';

/** A MAC of a path in the one form that is kept: lower case with colons. */
const normal = (mac: string | undefined) => (mac ?? '').toLowerCase().replaceAll('-', ':');

/** Rows of a page of which only the beginning was named. */
const usualPage = 100;

export const dhcpRoutes: Routes = (app, services) => {
  const tell = (call: Call, kind: string, mac: string | null, summary: string, details: object = {}) =>
    services.events.record({
      kind: `network.${kind}`,
      subject: mac === null || normalMac(mac) === null ? ['network', 'dhcp'] : ['machine', mac],
      actor: actorOf(call),
      address: call.address,
      summary,
      details: { ...details },
    });

  serve(app, services, dhcpOperations.states, () => json(dhcpOf(services).server.states()));
  serve(app, services, dhcpOperations.tftp, () => {
    const tftp = tftpOf(services);
    return json({ enabled: tftp !== undefined, servers: tftp?.states() ?? [] });
  });
  serve(app, services, dhcpOperations.settings, () => json(dhcpOf(services).server.current));
  serve(app, services, dhcpOperations.configure, async (call) => {
    const { body } = call;
    const dhcp = dhcpOf(services);
    const before = dhcp.server.current;
    await dhcp.configure(body);
    const names = body.interfaces.map((one) => `${one.interface} ${one.mode}`).join(', ');
    const summary = `DHCP was set: ${names || 'no interface'}.`;
    await tell(call, 'configured', null, summary, { before, after: body });
    return json(dhcp.server.states());
  });
  serve(app, services, dhcpOperations.leases, (call) => {
    const { store } = dhcpOf(services);
    const { limit, after } = call.query;
    if (limit === undefined && after === undefined) return json(store.export());
    const most = limit ?? usualPage;
    const from = after === undefined ? null : parseAddress(after);
    if (after !== undefined && from === null) throw new Problem(400, `"${after}" is no IPv4 address`);
    const { leases, all } = store.book.page(from, most + 1);
    const page = leases
      .slice(0, most)
      .map(leaseWire)
      .filter((lease) => lease !== null);
    const next = leases.length > most ? page.at(-1)?.address : undefined;
    return json({ leases: page, reservations: [] }, 200, pageHeaders(call, most, next, all));
  });
  serve(app, services, dhcpOperations.import, async (call) => {
    const { leases, reservations } = call.body;
    await dhcpOf(services).store.import(call.body);
    const summary = `${leases.length} leases and ${reservations.length} reservations were added.`;
    const counts = { leases: leases.length, reservations: reservations.length };
    await tell(call, 'leases.imported', null, summary, counts);
    return empty();
  });
  serve(app, services, dhcpOperations.forget, async (call) => {
    const { address = '' } = call.params;
    const { store } = dhcpOf(services);
    const lease = store.book.at(parseAddress(address) ?? 0);
    await store.forget(address);
    const summary = `The lease of ${address} was ended.`;
    await tell(call, 'lease.forgotten', lease?.mac ?? null, summary, { before: lease && leaseWire(lease) });
    return empty();
  });
  serve(app, services, dhcpOperations.reservations, (call) => {
    const all = [...dhcpOf(services).store.book.reservations].map(reservationWire);
    const { limit, after } = call.query;
    if (limit === undefined && after === undefined) return json(all);
    const most = limit ?? usualPage;
    const sorted = all.sort((one, other) => (one.mac < other.mac ? -1 : 1));
    const rest = after === undefined ? sorted : sorted.filter(({ mac }) => mac > after);
    const page = rest.slice(0, most);
    const next = rest.length > most ? page.at(-1)?.mac : undefined;
    return json(page, 200, pageHeaders(call, most, next, all.length));
  });
  serve(app, services, dhcpOperations.reserve, async (call) => {
    const mac = normal(call.params.mac);
    const wire: unknown = { ...call.body, mac };
    if (!Check(DhcpReservation, wire)) {
      const problem = 'the MAC is not of the form 52:54:00:12:34:56';
      throw failure('RESERVATION_INVALID', { mac, address: call.body.address, problem });
    }
    const { store } = dhcpOf(services);
    const before = reservedFor(store, mac);
    await store.reserve(wire);
    const summary = `${wire.address} was reserved for ${mac}.`;
    await tell(call, 'reserved', mac, summary, { before, after: wire });
    return json(wire);
  });
  serve(app, services, dhcpOperations.unreserve, async (call) => {
    const mac = normal(call.params.mac);
    const { store } = dhcpOf(services);
    const before = reservedFor(store, mac);
    await store.unreserve(mac);
    await tell(call, 'unreserved', mac, `The reservation of ${mac} was ended.`, { before });
    return empty();
  });
  serve(app, services, dhcpOperations.forgive, async (call) => {
    const mac = macOf(call.params);
    dhcpOf(services).store.memory.forgive(mac);
    await tell(call, 'forgiven', mac, `What was tried with ${mac} was forgotten.`);
    return empty();
  });
  serve(app, services, dhcpOperations.explain, ({ body }) => {
    const { store, boot, places } = bound(dhcpOf(services));
    const world = { places, leases: store.book, memory: store.memory, boot, now: services.clock() };
    return json(explain(body, world));
  });
};

function reservedFor(store: Store, mac: string) {
  const found = store.book.reservationOf(mac);
  return found && reservationWire(found);
}

/** `next`: the last of this page, where another one follows. */
function pageHeaders(call: Call, limit: number, next: string | undefined, all: number): Headers {
  const total = { 'x-total-count': String(all) };
  if (next === undefined) return total;
  const query = new URLSearchParams({ limit: String(limit), after: next });
  const address = `${call.secure ? 'https' : 'http'}://${call.host}${call.operation.path}?${query}`;
  return { ...total, link: `<${address}>; rel="next"` };
}

const bound = (dhcp: ReturnType<typeof dhcpOf>) => ({
  store: dhcp.store,
  boot: dhcp.boot,
  places: dhcp.places(),
});
