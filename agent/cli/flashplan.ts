import type { Failure } from '../../shared/failure.ts';
import type { TargetReport } from '../disk/target.ts';
import type { Prepared } from '../flash/prepare.ts';
import { titleOf } from '../source/source.ts';
import { block } from './output.ts';
import { visible } from './visible.ts';

/** The plan as JSON: the keys of the contract (section 1.4), and ours after them. */
export function planFields(
  { plan, notes }: Prepared,
  reports: readonly TargetReport[],
): Record<string, unknown> {
  const { source } = plan;
  const targets = reports.map(({ path, exists, is_block_device, size_bytes, mountpoints }) => ({
    path,
    exists,
    is_block_device,
    size_bytes,
    mountpoints,
  }));
  return {
    image: {
      path: source.kind === 'file' ? source.location : null,
      url: source.kind === 'http' ? source.location : null,
      format: plan.format,
      size_bytes: source.size,
      virtual_size_bytes: plan.imageBytes,
    },
    target: targets[0],
    notes,
    targets,
    verify: plan.verify,
    sparse: plan.sparse,
    sha256: plan.sha256.expected,
    block_map: plan.blockMap && { name: plan.blockMap.name, mapped_bytes: plan.blockMap.mappedBytes },
  };
}

/** The plan for a person, with its faults. */
export function planText(
  prepared: Prepared,
  reports: readonly TargetReport[],
  errors: readonly Failure[],
): string {
  const { plan, notes } = prepared;
  const lines = [
    'Flash plan:',
    indent(
      block([
        ['Image', titleOf(plan.source.location)],
        ['Format', plan.format],
        ['Stored size', bytes(plan.source.size)],
        ['Unpacked size', bytes(plan.imageBytes)],
        ...reports.flatMap(
          (report) =>
            [
              ['Target', report.path],
              ['Target size', report.size_bytes === null ? 'unknown' : bytes(report.size_bytes)],
              ['Mounted at', report.mountpoints.length > 0 ? report.mountpoints : 'nowhere'],
            ] as const,
        ),
        ['Verification', plan.blockMap && plan.verify === 'full' ? mapped : verification[plan.verify]],
        [
          'Block map',
          plan.blockMap ? `${plan.blockMap.name}, ${bytes(plan.blockMap.mappedBytes)} in use` : null,
        ],
      ]),
    ),
  ];
  if (notes.length > 0) lines.push('', 'Notes:', ...notes.map((note) => `  - ${visible(note)}`));
  lines.push('');
  if (errors.length === 0) lines.push('Validation: OK (nothing stands in the way of writing)');
  else {
    lines.push('Validation: FAILED');
    lines.push(...errors.map(({ message, advice }) => `  - ${visible(message)} ${visible(advice)}`));
  }
  return lines.join('\n');
}

const verification = {
  full: 'full (all of the image is read back)',
  written: 'written (what was transferred is read back)',
  none: 'none',
} as const;

const mapped = 'full (all that the block map names is read back)';

function bytes(count: number | null): string {
  if (count === null) return 'unknown until unpacked';
  return count >= 1e9 ? `${count} bytes (${(count / 1e9).toFixed(1)} GB)` : `${count} bytes`;
}

const indent = (text: string): string => text.replaceAll(/^/gm, '  ');
