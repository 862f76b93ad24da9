/** What the operator may change of a machine, and the machine after it. Pure. */
import type { DiskRule } from '../../shared/contract/agent.ts';
import type { MachineUpsert } from '../../shared/contract/machine.ts';
import { assigned, newLife } from '../../shared/machine/life.ts';
import { bindingOf, type MachineRecord } from './record.ts';

/** A machine that nobody knows yet, with the contract's defaults (3.4). */
export function newRecord(mac: string, at: number, changes: Partial<MachineRecord> = {}): MachineRecord {
  const record = {
    mac,
    imageSha256: null,
    provisioningMode: 'none',
    hostname: null,
    cijoeTaskRef: null,
    bootPolicy: 'local',
    discoveredAt: null,
    lastSeenAt: null,
    lastSeenIp: null,
    lastFlashedAt: null,
    lastTaskRunAt: null,
    lastTaskStatus: null,
    lastTaskOutputPath: null,
    createdAt: at,
    updatedAt: at,
    revision: 1,
    targetDisk: null,
    labels: {},
    notes: null,
    smbiosUuid: null,
    smbiosSerial: null,
    ...changes,
  } as const;
  return { ...record, life: newLife({ policy: record.bootPolicy, image: record.imageSha256 }, at) };
}

/** `replace`: what the contract names and the body omits gets its default. `patch`: it stays. */
export type ChangeKind = 'replace' | 'patch';

/** `before` (null: a new machine) after the operator's `body`. */
export function changed(
  mac: string,
  before: MachineRecord | null,
  body: MachineUpsert,
  kind: ChangeKind,
  at: number,
): MachineRecord {
  const base = before ?? newRecord(mac, at);
  const kept = kind === 'patch' ? base : newRecord(mac, at);
  const after = {
    ...base,
    imageSha256: body.image_sha256 === undefined ? kept.imageSha256 : body.image_sha256,
    provisioningMode: body.provisioning_mode ?? kept.provisioningMode,
    hostname: body.hostname === undefined ? kept.hostname : body.hostname,
    cijoeTaskRef: body.cijoe_task_ref === undefined ? kept.cijoeTaskRef : body.cijoe_task_ref,
    bootPolicy: body.boot_policy ?? kept.bootPolicy,
    targetDisk: diskOf(body, base.targetDisk),
    labels: body.labels ?? base.labels,
    notes: body.notes === undefined ? base.notes : body.notes,
    smbiosUuid: body.smbios_uuid === null ? null : base.smbiosUuid,
    smbiosSerial: body.smbios_serial === null ? null : base.smbiosSerial,
    updatedAt: at,
    revision: before === null ? 1 : before.revision + 1,
  };
  if (before === null) return { ...after, life: newLife(bindingOf(after), at) };
  const speaksOfBoot =
    kind === 'replace' || body.boot_policy !== undefined || body.image_sha256 !== undefined;
  const disk = JSON.stringify(after.targetDisk) !== JSON.stringify(before.targetDisk);
  if (!speaksOfBoot && !disk) return after;
  // Another disk is another decision: what runs for the old one is withdrawn.
  const old = bindingOf(before);
  const life = assigned(before.life, disk ? { ...old, image: null } : old, bindingOf(after), at);
  return { ...after, life };
}

function diskOf(body: MachineUpsert, before: DiskRule | null): DiskRule | null {
  if (body.target_disk !== undefined) return body.target_disk;
  if (body.target_disk_serial === undefined) return before;
  if (body.target_disk_serial === null) return null;
  return { kind: 'serial', serial: body.target_disk_serial.trim() };
}

/** What events say of a machine (bty-contract 3.12), with our additions. */
export function describedIn(record: MachineRecord) {
  return {
    image_sha256: record.imageSha256,
    provisioning_mode: record.provisioningMode,
    boot_policy: record.bootPolicy,
    hostname: record.hostname,
    cijoe_task_ref: record.cijoeTaskRef,
    target_disk: record.targetDisk,
    labels: record.labels,
    notes: record.notes,
  };
}
