import { systemOperations } from '../../../shared/contract/system.ts';
import { json, serve } from '../route.ts';
import type { Routes } from '../server.ts';

export const systemRoutes: Routes = (app, services) => {
  serve(app, services, systemOperations.health, () => json({ status: 'ok' }));
  serve(app, services, systemOperations.version, () => json({ version: services.version }));
  serve(app, services, systemOperations.ready, async () => {
    const checks = await Promise.all(services.readiness.map((check) => check()));
    const ready = checks.every(({ ok }) => ok);
    return json({ status: ready ? 'ready' : 'not ready', checks }, ready ? 200 : 503);
  });
};
