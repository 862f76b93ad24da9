/** A machine as it is kept, and as it goes over the wire. */
import type { DiskRule } from '../../shared/contract/agent.ts';
import type { BootPolicy, Machine } from '../../shared/contract/machine.ts';
import { actionOf, type Binding, type Life, type LoopLimit } from '../../shared/machine/life.ts';

/** Times are milliseconds since 1970. */
export interface MachineRecord {
  readonly mac: string;
  readonly imageSha256: string | null;
  readonly provisioningMode: 'none' | 'cijoe-task';
  readonly hostname: string | null;
  readonly cijoeTaskRef: string | null;
  readonly bootPolicy: BootPolicy;
  readonly discoveredAt: number | null;
  readonly lastSeenAt: number | null;
  readonly lastSeenIp: string | null;
  readonly lastFlashedAt: number | null;
  readonly lastTaskRunAt: number | null;
  readonly lastTaskStatus: string | null;
  readonly lastTaskOutputPath: string | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Grows with every change of what the operator decides. */
  readonly revision: number;
  readonly targetDisk: DiskRule | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly notes: string | null;
  readonly smbiosUuid: string | null;
  readonly smbiosSerial: string | null;
  readonly life: Life;
}

export function bindingOf(record: MachineRecord): Binding {
  return { policy: record.bootPolicy, image: record.imageSha256 };
}

export function etagOf(record: Pick<MachineRecord, 'revision'>): string {
  return `"r${record.revision}"`;
}

/** `YYYY-MM-DDTHH:MM:SS.ffffffZ` (bty-contract 3.1). */
export function wireTime(at: number): string {
  return new Date(at).toISOString().replace('Z', '000Z');
}
const optionalTime = (at: number | null) => (at === null ? null : wireTime(at));

/** `record` as it goes over the wire at the time `at`. */
export function wireMachine(record: MachineRecord, at: number, limit: LoopLimit): Machine {
  const { life, targetDisk } = record;
  return {
    mac: record.mac,
    image_sha256: record.imageSha256,
    provisioning_mode: record.provisioningMode,
    hostname: record.hostname,
    cijoe_task_ref: record.cijoeTaskRef,
    discovered_at: optionalTime(record.discoveredAt),
    last_seen_at: optionalTime(record.lastSeenAt),
    last_seen_ip: record.lastSeenIp,
    boot_policy: record.bootPolicy,
    last_flashed_at: optionalTime(record.lastFlashedAt),
    last_task_run_at: optionalTime(record.lastTaskRunAt),
    last_task_status: record.lastTaskStatus,
    last_task_output_path: record.lastTaskOutputPath,
    created_at: wireTime(record.createdAt),
    updated_at: wireTime(record.updatedAt),
    target_disk_serial: targetDisk?.kind === 'serial' ? targetDisk.serial : null,
    target_disk: targetDisk,
    labels: record.labels,
    notes: record.notes,
    smbios_uuid: record.smbiosUuid,
    smbios_serial: record.smbiosSerial,
    etag: etagOf(record),
    state: {
      phase: life.phase,
      since: wireTime(life.since),
      step: life.step,
      attempt: life.attempt,
      bytes: life.bytes,
      total: life.total,
      rate: life.rate,
      disk: life.disk,
      failure: life.failure,
      next: actionOf(life, bindingOf(record), at, limit, '').kind,
    },
  };
}
