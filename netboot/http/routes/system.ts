import { openapi } from '../../../shared/contract/openapi.ts';
import { systemOperations } from '../../../shared/contract/system.ts';
import { failure } from '../../../shared/failure.ts';
import { networkInterfaces } from '../../desktop/interfaces.ts';
import { changeRetention, retentionDays, retentionOf } from '../../events/retention.ts';
import { auditOf, backupOf, liveSystemsOf, overviewOf, settingRows } from '../../overview.ts';
import { fileContent, openRegular } from '../content.ts';
import { handled, json, serve, text } from '../route.ts';
import type { Routes } from '../server.ts';
import { actorOf } from './access.ts';

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

  serve(app, services, systemOperations.overview, async () => json(await overviewOf(services)));
  serve(app, services, systemOperations.settings, () =>
    json(settingRows(services.config, { retentionDays: retentionDays(services) })),
  );
  serve(app, services, systemOperations.audit, () => json(auditOf(services)));
  serve(app, services, systemOperations.live, async () => json(await liveSystemsOf(services.config.bootDir)));
  serve(app, services, systemOperations.interfaces, async ({ query }) =>
    json(await networkInterfaces(query.search === undefined ? [] : [query.search])),
  );
  serve(app, services, systemOperations.backup, async (call) => {
    const { request, reply } = call;
    const type = 'application/vnd.sqlite3';
    const headers = { 'cache-control': 'no-store' };
    // A look makes none.
    if (request.method === 'HEAD') return text('', type, 200, headers);
    const { path, name, remove } = await backupOf(services, actorOf(call), call.address);
    try {
      const opened = await openRegular(path);
      if (opened === null) throw failure('BACKUP_REFUSED', { path, problem: 'it is gone' });
      reply.hijack();
      for (const [header, value] of Object.entries(headers)) reply.raw.setHeader(header, value);
      await services.images.sender.send(request.raw, reply.raw, fileContent(opened, null), { name, type });
      return handled;
    } finally {
      await remove();
    }
  });

  serve(app, services, systemOperations.retention, () => json(retentionOf(services)));
  serve(app, services, systemOperations.retain, async (call) => {
    await changeRetention(services, call.body.days, actorOf(call), call.address);
    return json(retentionOf(services));
  });

  let document: string | null = null;
  serve(app, services, systemOperations.openapi, () => {
    document ??= JSON.stringify(openapi(operations, services.version));
    return text(document, 'application/json');
  });
};
