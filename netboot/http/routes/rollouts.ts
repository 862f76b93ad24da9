import { rolloutOperations } from '../../../shared/contract/rollout.ts';
import { rolloutsOf } from '../../rollouts/part.ts';
import { Problem } from '../problem.ts';
import { json, serve } from '../route.ts';
import type { Routes } from '../server.ts';
import { actorOf } from './access.ts';
import { macOf } from './machines.ts';

export const rolloutRoutes: Routes = (app, services) => {
  const { config, images } = services;
  serve(app, services, rolloutOperations.list, () => json(rolloutsOf(services).list()));
  serve(app, services, rolloutOperations.get, ({ params }) => json(rolloutsOf(services).get(idOf(params))));
  serve(app, services, rolloutOperations.begin, async (call) => {
    const { body } = call;
    const macs = body.macs.map((mac) => macOf({ mac }));
    const image = (await images.list()).find(({ sha256 }) => sha256 === body.image_sha256);
    const name = image?.names[0] ?? body.image_sha256.slice(0, 12);
    const author = { actor: actorOf(call), address: call.address };
    const limit = body.limit ?? config.bulkLimit;
    return json(await rolloutsOf(services).begin({ ...body, macs }, name, limit, author), 201);
  });
  serve(app, services, rolloutOperations.cancel, async (call) => {
    const author = { actor: actorOf(call), address: call.address };
    return json(await rolloutsOf(services).cancel(idOf(call.params), author));
  });
};

function idOf({ id = '' }: Readonly<Record<string, string>>): number {
  const found = /^[1-9][0-9]{0,14}$/.test(id) ? Number(id) : 0;
  if (found === 0) throw new Problem(404, `no roll-out ${id.slice(0, 100)}`);
  return found;
}
