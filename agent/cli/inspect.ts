import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { ExitCode, Failure, type FailureCode } from '../../shared/failure.ts';
import { sizeText } from '../disk/disk.ts';
import { type Inspection, inspectImage } from '../inspect/inspect.ts';
import type { Filesystem, Partition, PartitionTable } from '../inspect/partitions.ts';
import { prefixWith } from '../inspect/prefix.ts';
import { openQcow2 } from '../qcow2/qcow2.ts';
import { openSource } from '../source/open.ts';
import type { ImageSource } from '../source/source.ts';
import { makeUnpacker } from '../unpack/packings.ts';
import type { Command, CommandContext } from './command.ts';
import { block, print, printJson, table } from './output.ts';
import { visible } from './visible.ts';

/** What `bty inspect image` tells: the keys of the contract (section 1.3), ours after them. */
interface ImageReport {
  readonly path: string;
  readonly format: string | null;
  readonly size_bytes: number | null;
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly detail_error?: string;
  readonly detail_advice?: string;
  readonly detail_code?: FailureCode;
}

/** The report, and what its text form needs beside it. */
interface Told {
  readonly report: ImageReport;
  readonly lines: readonly (readonly [string, string | number | null])[];
  readonly partitions: PartitionTable | null;
}

/** `bty inspect image` and `bty image info`. What is no image is told as such, and telling it succeeded. */
export const runInspect: Command<'inspect image'> = async (values, context) => {
  const told = await tell(values.path, values.checksum, context);
  if (values.json) printJson('inspect-image', { image: told.report });
  else print(text(told));
  return ExitCode.ok;
};

async function tell(path: string, checksum: boolean, { signal }: CommandContext): Promise<Told> {
  if (/\.bri$/i.test(path) && !/^https?:/i.test(path)) return describe(path, checksum);
  const { source } = await openSource(path, { signal });
  try {
    const inspected = await attempt(() =>
      inspectImage(source, { unpackPrefix: prefixWith(makeUnpacker), openQcow2, signal }),
    );
    const digest = checksum ? await digestOf(source, signal) : null;
    return inspected instanceof Failure
      ? refused(path, source, inspected, digest)
      : inspectedAs(path, inspected, digest);
  } finally {
    await source.close();
  }
}

/** A descriptor is told as itself: nothing is asked of the server it names. */
async function describe(path: string, checksum: boolean): Promise<Told> {
  const { loadDescriptor } = await import('../source/descriptor.ts');
  const { url, name, format, sizeBytes, sha256, description } = await loadDescriptor(path);
  const { size } = await stat(path);
  const detail = { url, name, format, size_bytes: sizeBytes, sha256, description };
  const note = checksum ? 'No checksum was computed: inspect the URL to have that of the image.' : null;
  return {
    report: { path, format: 'bri', size_bytes: size, detail: { ...detail, notes: note ? [note] : [] } },
    lines: [
      ['Path', path],
      ['Format', 'bri (image descriptor)'],
      ['URL', url],
      ['Name', name],
      ['Image format', format],
      ['Stored size', sizeBytes === null ? null : bytes(sizeBytes)],
      ['SHA-256', sha256],
      ['Description', description],
      ['Note', note],
    ],
    partitions: null,
  };
}

/** What a look at the content may end in without the source being at fault. */
const findings: ReadonlySet<FailureCode> = new Set([
  'IMAGE_EMPTY',
  'IMAGE_REFUSED',
  'IMAGE_UNSUPPORTED',
  'IMAGE_CORRUPT',
  'IMAGE_TRUNCATED',
  'FORMAT_UNKNOWN',
]);

async function attempt(work: () => Promise<Inspection>): Promise<Inspection | Failure> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Failure && findings.has(error.code)) return error;
    throw error;
  }
}

function refused(path: string, source: ImageSource, found: Failure, digest: Digest | null): Told {
  const size = digest?.bytes ?? source.size;
  return {
    report: {
      path,
      format: null,
      size_bytes: size,
      ...(digest && { detail: { sha256: digest.sha256 } }),
      ...errorOf(found),
    },
    lines: [
      ['Path', path],
      ['Stored size', bytes(size)],
      ['SHA-256', digest?.sha256 ?? null],
    ],
    partitions: null,
  };
}

function inspectedAs(path: string, found: Inspection, digest: Digest | null): Told {
  const size = digest?.bytes ?? found.storedBytes;
  const { partitionTable, obstacle } = found;
  const notes = [...(found.mismatch ? [found.mismatch] : []), ...found.notes];
  return {
    report: {
      path,
      format: found.format,
      size_bytes: size,
      detail: {
        packing: found.packing,
        layout: found.layout,
        virtual_size_bytes: found.virtualBytes,
        virtual_size_exact: found.virtualExact,
        virtual_size_at_least_bytes: found.virtualAtLeast,
        entry: found.entry,
        partition_table: partitionTable && tableFields(partitionTable),
        ...(digest && { sha256: digest.sha256 }),
        notes,
      },
      ...(obstacle && errorOf(obstacle)),
    },
    lines: [
      ['Path', path],
      ['Format', found.format],
      ['Holds', found.entry],
      ['Stored size', bytes(size)],
      ['Image size', virtualSize(found)],
      ['SHA-256', digest?.sha256 ?? null],
      ...(partitionTable ? tableLines(partitionTable) : []),
      ...notes.map((note) => ['Note', note] as const),
    ],
    partitions: partitionTable,
  };
}

const errorOf = (found: Failure) => ({
  detail_error: found.message,
  detail_advice: found.advice,
  detail_code: found.code,
});

function tableFields(found: PartitionTable): Record<string, unknown> {
  return {
    scheme: found.scheme,
    id: found.id,
    sector_size: found.sectorSize,
    hybrid: found.hybrid,
    isohybrid: found.isohybrid,
    complete: found.complete,
    filesystem: found.filesystem && filesystemFields(found.filesystem),
    partitions: found.partitions.map((partition) => ({
      number: partition.number,
      start_bytes: partition.start,
      size_bytes: partition.size,
      type: partition.type,
      type_name: partition.typeName,
      name: partition.name,
      uuid: partition.uuid,
      bootable: partition.bootable,
      filesystem: partition.filesystem && filesystemFields(partition.filesystem),
    })),
    problems: found.problems,
  };
}

const filesystemFields = ({ kind, label, uuid }: Filesystem) => ({ kind, label, uuid });

function tableLines(found: PartitionTable): [string, string][] {
  const names = { gpt: 'GPT', mbr: 'MBR', none: 'none' };
  const traits = [found.hybrid && 'hybrid with an MBR', found.isohybrid && 'isohybrid'].filter(Boolean);
  const { filesystem } = found;
  const named = filesystem?.label ? `${filesystem.kind}, labelled ${filesystem.label}` : filesystem?.kind;
  return [
    ['Partition table', [names[found.scheme], ...traits].join(', ')],
    ...(named ? [['File system', named] as [string, string]] : []),
    ...found.problems.map((problem): [string, string] => ['Problem', problem]),
  ];
}

function text({ report, lines, partitions }: Told): string {
  const parts = [block(lines)];
  if (partitions && partitions.partitions.length > 0) {
    const headers = ['number', 'start', 'size', 'type', 'name', 'filesystem', 'label', 'boot'];
    parts.push(table(headers, partitions.partitions.map(partitionRow)));
  }
  if (report.detail_error) {
    parts.push(`${report.format === null ? 'Not flashable' : 'Damaged'}: ${visible(report.detail_error)}`);
    if (report.detail_advice) parts[parts.length - 1] += `\n${visible(report.detail_advice)}`;
  }
  return parts.join('\n\n');
}

const partitionRow = ({ number, start, size, typeName, name, filesystem, bootable }: Partition) => [
  number,
  start,
  sizeText(size),
  typeName,
  name,
  filesystem?.kind,
  filesystem?.label,
  bootable ? 'yes' : null,
];

function bytes(count: number | null): string {
  if (count === null) return 'unknown';
  return count < 1024 ? `${count} bytes` : `${count} bytes (${sizeText(count)})`;
}

function virtualSize({ virtualBytes, virtualExact, virtualAtLeast }: Inspection): string {
  if (virtualBytes !== null)
    return virtualExact ? bytes(virtualBytes) : `about ${bytes(virtualBytes)} (a guess)`;
  return virtualAtLeast > 0 ? `at least ${bytes(virtualAtLeast)}` : 'unknown until it is unpacked';
}

interface Digest {
  readonly sha256: string;
  readonly bytes: number;
}

/** SHA-256 of all stored bytes. */
async function digestOf(source: ImageSource, signal: AbortSignal): Promise<Digest> {
  const hash = createHash('sha256');
  const stream = await source.open(signal);
  try {
    const buffer = new Uint8Array(1024 * 1024);
    let total = 0;
    for (;;) {
      signal.throwIfAborted();
      const count = await stream.read(buffer);
      if (count === 0) return { sha256: hash.digest('hex'), bytes: total };
      hash.update(buffer.subarray(0, count));
      total += count;
    }
  } finally {
    await stream.close();
  }
}
