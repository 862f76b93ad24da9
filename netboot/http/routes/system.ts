import { openapi } from '../../../shared/contract/openapi.ts';
import { systemOperations } from '../../../shared/contract/system.ts';
import { json, serve, text } from '../route.ts';
import type { Routes } from '../server.ts';

export const systemRoutes: Routes = (app, services, operations) => {
  serve(app, services, systemOperations.health, () => json({ status: 'ok' }));
  serve(app, services, systemOperations.version, () => json({ version: services.version }));
  serve(app, services, systemOperations.ready, async () => {
    const checks = await Promise.all(services.readiness.map((check) => check()));
    const ready = checks.every(({ ok }) => ok);
    return json({ status: ready ? 'ready' : 'not ready', checks }, ready ? 200 : 503);
  });

  serve(app, services, systemOperations.metrics, async () => {
    return text(await services.metrics.registry.metrics(), services.metrics.registry.contentType);
  });

  let document: string | null = null;
  serve(app, services, systemOperations.openapi, () => {
    document ??= JSON.stringify(openapi(operations, services.version));
    return text(document, 'application/json');
  });
};
