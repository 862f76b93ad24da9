/** Whether the appliance can do its work: its database, its disk, the boot files. */
import { statfs } from 'node:fs/promises';
import type { LiveSystems } from './boot/live.ts';
import type { Config } from './config/settings.ts';
import type { Readiness } from './services.ts';
import type { Database } from './store/database.ts';

/** Free bytes below which the state is not safe. */
const leastFree = 64 * 1024 * 1024;

export function coreReadiness(
  config: Config,
  database: Database,
  live: LiveSystems,
): (() => Readiness | Promise<Readiness>)[] {
  return [
    async () => {
      try {
        await database.write(() => database.prepare('SELECT max(id) FROM events').get());
        return { name: 'database', ok: true, reason: null };
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        return { name: 'database', ok: false, reason: `The database cannot be written: ${problem}.` };
      }
    },
    async () => {
      const { bavail, bsize } = await statfs(config.stateDir);
      const free = bavail * bsize;
      const ok = free >= leastFree;
      const reason = ok ? null : `Only ${free} bytes are free in ${config.stateDir}.`;
      return { name: 'disk', ok, reason };
    },
    async () => {
      const ok = (await live.installed()).length > 0;
      const reason = `No live system is in ${config.bootDir}: neither kernel nor initrd; machines cannot be flashed.`;
      return { name: 'boot files', ok, reason: ok ? null : reason };
    },
  ];
}
