/** The appliance as a whole, for its pages: what is going on, how it is set, whether its log is whole. */
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditVerdict, LiveSystemRow, Overview, SettingRow } from '../shared/contract/system.ts';
import type { Phase } from '../shared/machine/life.ts';
import { liveFile } from './boot/live.ts';
import { liveArchitectures } from './boot/script.ts';
import type { Config } from './config/settings.ts';
import { flagOf, keyOf, settingNames, settings, variableOf } from './config/settings.ts';
import type { UnifiedImage } from './images/unify.ts';
import { wireMachine } from './machines/record.ts';
import type { Services } from './services.ts';
import { backupAside } from './store/backup.ts';

/** Machines that are named; whoever wants all of them asks for the machines. */
const mostNamed = 50;
const flashing: readonly Phase[] = ['booting', 'preparing', 'writing', 'verifying', 'rebooting'];
const failing: readonly Phase[] = ['failed', 'stopped'];
const startedAt = new Date(Date.now() - process.uptime() * 1000).toISOString();

export async function overviewOf({ machines, images, clock }: Services): Promise<Overview> {
  const phases = Object.fromEntries(machines.store.countByPhase());
  const named = (wanted: readonly Phase[]) => {
    const found = wanted
      .filter((phase) => (phases[phase] ?? 0) > 0)
      .flatMap((phase) => [...machines.store.list({ phase }, null, mostNamed)]);
    return found.slice(0, mostNamed).map((record) => wireMachine(record, clock(), machines.limit));
  };
  return {
    started_at: startedAt,
    phases,
    machines: Object.values(phases).reduce((sum, count) => sum + count, 0),
    images: (await images.list()).filter(isUsable).length,
    flashing: named(flashing),
    failing: named(failing),
  };
}

const isUsable = ({ sha256 }: UnifiedImage) => sha256 !== null;

/** Every setting as it is in force, `changed` since the start included; secrets are told as set or not. */
export function settingRows(config: Config, changed: Partial<Config> = {}): SettingRow[] {
  return settingNames.map((name) => {
    const setting = settings[name];
    const secret = 'secret' in setting && setting.secret === true;
    const value = changed[name] ?? config[name];
    const usual = JSON.stringify(value) === JSON.stringify(setting.fallback({ stateDir: config.stateDir }));
    return {
      name: keyOf(name),
      variable: variableOf(name),
      flag: flagOf(name),
      value: secret || value === null ? null : Array.isArray(value) ? value.join(', ') : String(value),
      secret,
      usual,
      sentence: setting.sentence,
    };
  });
}

/** Events that are followed while machines wait: some 0.2 s. */
const mostEvents = 50_000;
const known = new WeakMap<object, { readonly id: number; readonly verdict: AuditVerdict }>();

/** Follows the chain of events, once for each event that is the last one. */
export function auditOf({ events, clock }: Pick<Services, 'events' | 'clock'>): AuditVerdict {
  const id = events.lastId();
  const before = known.get(events);
  if (before?.id === id) return before.verdict;
  const common = {
    last_hash: null,
    broken_at: null,
    problem: null,
    checked_at: new Date(clock()).toISOString(),
  };
  if (id > mostEvents && events.list({ before_id: id - mostEvents, limit: 1 }).length > 0)
    return { ...common, state: 'unchecked', events: id };
  const found = events.verify();
  const verdict: AuditVerdict =
    found.kind === 'intact'
      ? { ...common, state: 'intact', events: found.events, last_hash: found.lastHash }
      : { ...common, state: 'broken', events: id, broken_at: found.id, problem: found.problem };
  known.set(events, { id, verdict });
  return verdict;
}

/** What each live system is made of, and which of it lies in `folder`. */
export async function liveSystemsOf(folder: string): Promise<LiveSystemRow[]> {
  const names = new Set(await readdir(folder).catch(() => []));
  return Promise.all(
    liveArchitectures.map(async (architecture) => {
      const files = await Promise.all(
        ['vmlinuz', 'initrd', 'squashfs', 'json'].map(async (ending) => {
          const name = liveFile(architecture, ending);
          const found = names.has(name) ? await stat(join(folder, name)).catch(() => null) : null;
          return {
            name,
            size_bytes: found?.size ?? null,
            modified_at: found?.mtime.toISOString() ?? null,
            needed: ending === 'vmlinuz' || ending === 'initrd',
          };
        }),
      );
      const installed = files.every(({ needed, size_bytes }) => !needed || (size_bytes ?? 0) > 0);
      return { architecture, installed, files };
    }),
  );
}

/** In the state directory, because it holds secrets and /tmp may be small. */
const backupFolder = (stateDir: string) => join(stateDir, 'backup-download');

/** What is left of backups whose download was ended by the end of the appliance. */
export function sweepBackups(stateDir: string): void {
  rmSync(backupFolder(stateDir), { recursive: true, force: true });
}

/** The state in one file, as `bty-web backup` writes it; it goes with the folder that it lies in. */
export async function backupOf(
  { config, clock, version, events }: Services,
  actor: string,
  address: string,
): Promise<{ readonly path: string; readonly name: string; readonly remove: () => Promise<void> }> {
  const now = clock();
  await mkdir(backupFolder(config.stateDir), { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(backupFolder(config.stateDir), 'one-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const made = await backupAside(config.stateDir, join(folder, 'state.bty'), now, `bty-web ${version}`);
    const summary = 'A backup of the state was downloaded.';
    const subject = ['settings', 'backup'] as const;
    await events.record({ kind: 'settings.backup', subject, actor, address, summary });
    const day = new Date(now).toISOString().slice(0, 19).replaceAll(':', '');
    return { path: made.path, name: `bty-${day}.backup`, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
