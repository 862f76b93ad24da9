/** What a live system is told to do. Pure. */
import type { Plan } from '../../shared/contract/agent.ts';
import type { Config } from '../config/settings.ts';
import { imagePath, type KnownImage, unknownName } from './images.ts';
import type { MachineRecord } from './record.ts';

/** Seconds between the questions of a live system that waits for a person. */
const pollSeconds = 5;
/** A message at least this often. */
const heartbeatSeconds = 10;

export type PlanKind = 'flash' | 'interactive' | 'inventory' | 'exit';

export interface PlanMaking {
  readonly id: string;
  readonly kind: PlanKind;
  readonly record: MachineRecord;
  readonly image: KnownImage | null;
  readonly config: Pick<Config, 'verify' | 'grow' | 'after' | 'bootEntry'>;
  /** For `exit`: why there is nothing to do. */
  readonly reason?: string;
}

export function planOf({ id, kind, record, image, config, reason }: PlanMaking): Plan {
  const title = titleOf(record);
  const sha256 = record.imageSha256;
  if (kind === 'flash' && sha256 !== null) {
    const name = image?.name ?? unknownName;
    return {
      kind: 'flash',
      id,
      title,
      image: {
        url: imagePath(sha256, name),
        name,
        sha256,
        // Of an image that nobody knows, the name says nothing: the content has to.
        format: image?.format ?? null,
        size_bytes: image?.sizeBytes ?? null,
      },
      disk: record.targetDisk ?? { kind: 'only' },
      verify: config.verify,
      grow: config.grow,
      boot_entry: { kind: config.bootEntry },
      after: config.after,
      retry: { attempts: 3, first_seconds: 5, most_seconds: 60 },
      heartbeat_seconds: heartbeatSeconds,
    };
  }
  if (kind === 'interactive') return { kind, id, title, poll_seconds: pollSeconds };
  if (kind === 'inventory') return { kind, id, title, after: 'reboot' };
  return { kind: 'exit', id, title, after: 'reboot', reason: reason ?? null };
}

function titleOf(record: MachineRecord): string | null {
  if (record.hostname !== null) return record.hostname;
  const labels = Object.entries(record.labels).map(([name, value]) =>
    value === '' ? name : `${name}=${value}`,
  );
  return labels.length === 0 ? null : labels.join(' ').slice(0, 256);
}
