import { Check } from 'typebox/value';
import { DhcpReservation, dhcpOperations } from '../../../shared/contract/dhcp.ts';
import { failure } from '../../../shared/failure.ts';
import { explain } from '../../dhcp/explain.ts';
import { dhcpOf } from '../../dhcp/part.ts';
import { tftpOf } from '../../tftp/part.ts';
import { empty, json, serve } from '../route.ts';
import type { Routes } from '../server.ts';

/** A MAC of a path in the one form that is kept: lower case with colons. */
const normal = (mac: string | undefined) => (mac ?? '').toLowerCase().replaceAll('-', ':');

export const dhcpRoutes: Routes = (app, services) => {
  serve(app, services, dhcpOperations.states, () => json(dhcpOf(services).server.states()));
  serve(app, services, dhcpOperations.tftp, () => {
    const tftp = tftpOf(services);
    return json({ enabled: tftp !== undefined, servers: tftp?.states() ?? [] });
  });
  serve(app, services, dhcpOperations.settings, () => json(dhcpOf(services).server.current));
  serve(app, services, dhcpOperations.configure, async ({ body, principal, address }) => {
    const dhcp = dhcpOf(services);
    await dhcp.configure(body);
    const names = body.interfaces.map((one) => `${one.interface} ${one.mode}`).join(', ');
    await services.database.write(() =>
      services.events.append({
        kind: 'network.configured',
        subject: ['network', 'dhcp'],
        actor: principal?.actor ?? 'system',
        address,
        summary: `DHCP was set: ${names || 'no interface'}.`,
      }),
    );
    return json(dhcp.server.states());
  });
  serve(app, services, dhcpOperations.leases, () => json(dhcpOf(services).store.export()));
  serve(app, services, dhcpOperations.import, async ({ body }) => {
    await dhcpOf(services).store.import(body);
    return empty();
  });
  serve(app, services, dhcpOperations.forget, async ({ params }) => {
    await dhcpOf(services).store.forget(params.address ?? '');
    return empty();
  });
  serve(app, services, dhcpOperations.reservations, () => json(dhcpOf(services).store.export().reservations));
  serve(app, services, dhcpOperations.reserve, async ({ params, body }) => {
    const wire: unknown = { ...body, mac: normal(params.mac) };
    if (!Check(DhcpReservation, wire)) {
      const mac = normal(params.mac);
      const problem = 'the MAC is not of the form 52:54:00:12:34:56';
      throw failure('RESERVATION_INVALID', { mac, address: body.address, problem });
    }
    await dhcpOf(services).store.reserve(wire);
    return json(wire);
  });
  serve(app, services, dhcpOperations.unreserve, async ({ params }) => {
    await dhcpOf(services).store.unreserve(normal(params.mac));
    return empty();
  });
  serve(app, services, dhcpOperations.forgive, ({ params }) => {
    dhcpOf(services).store.memory.forgive(normal(params.mac));
    return empty();
  });
  serve(app, services, dhcpOperations.explain, ({ body }) => {
    const { store, boot, places } = bound(dhcpOf(services));
    const world = { places, leases: store.book, memory: store.memory, boot, now: services.clock() };
    return json(explain(body, world));
  });
};

const bound = (dhcp: ReturnType<typeof dhcpOf>) => ({
  store: dhcp.store,
  boot: dhcp.boot,
  places: dhcp.places(),
});
