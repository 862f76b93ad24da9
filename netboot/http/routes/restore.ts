/** A backup that is sent to a running appliance, looked at, and restored. */
import { systemOperations } from '../../../shared/contract/system.ts';
import { failure } from '../../../shared/failure.ts';
import { receiveFile } from '../../images/receive.ts';
import {
  forgetOffer,
  lookIntoOffer,
  makeRestoreFolder,
  offeredName,
  orderRestore,
} from '../../store/restoring.ts';
import { Problem } from '../problem.ts';
import { empty, json, serve } from '../route.ts';
import type { Routes } from '../server.ts';
import { actorOf } from './access.ts';

/** No state is so large: a hundred thousand machines with a year of events are some 2 GB. */
const limits = { maxBytes: 16 * 2 ** 30, quota: async () => null, idleMilliseconds: 60_000 };

export const restoreRoutes: Routes = (app, services) => {
  const { config, events, log } = services;
  /** Digest of the backup that waits. */
  let waiting: string | null = null;
  let ordered = false;
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <Value>(work: () => Promise<Value>): Promise<Value> => {
    const mine = turn.then(() => {
      if (ordered) throw new Problem(409, 'the appliance is about to restore a backup');
      return work();
    });
    turn = mine.catch(() => undefined);
    return mine;
  };

  serve(app, services, systemOperations.offer, ({ request }) =>
    inTurn(async () => {
      waiting = null;
      const folder = await makeRestoreFolder(config.stateDir);
      try {
        const { sha256 } = await receiveFile(request.raw, folder, offeredName, limits, null);
        const offer = await lookIntoOffer(config.stateDir, sha256);
        waiting = sha256;
        return json(offer);
      } catch (error) {
        await forgetOffer(config.stateDir);
        throw error;
      }
    }),
  );

  serve(app, services, systemOperations.restore, (call) =>
    inTurn(async () => {
      const { sha256 } = call.body;
      if (waiting !== sha256) throw failure('RESTORE_NOT_OFFERED', { wanted: sha256 });
      const author = { actor: actorOf(call), address: call.address };
      const subject = ['settings', 'restore'] as const;
      const summary = `The appliance ends to restore the backup ${sha256.slice(0, 12)}.`;
      // It stays in the state that is left, and says there why it ends.
      await events.record({ kind: 'settings.restoring', subject, ...author, summary, details: { sha256 } });
      await orderRestore(config.stateDir, author);
      ordered = true;
      log.warn('restore', { sha256, ...author });
      services.startAnew();
      return empty(202);
    }),
  );

  serve(app, services, systemOperations.withdraw, () =>
    inTurn(async () => {
      waiting = null;
      await forgetOffer(config.stateDir);
      return empty();
    }),
  );
};
