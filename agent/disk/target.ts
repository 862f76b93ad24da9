/** Finds the disk that a person named, and tells everything against writing to it, without opening it. */
import { realpath, stat } from 'node:fs/promises';
import { asFailure, type Failure, failure } from '../../shared/failure.ts';
import { isSystemError } from '../system/native.ts';
import { type BlockDevice, blockByNumber } from './block.ts';
import { gatherFacts, judge, sameFile, type TargetFacts, type TargetSpec, usesOfFile } from './guard.ts';
import { type Kernel, kernel as realKernel } from './kernel.ts';
import { readUsage, type Usage } from './usage.ts';

export type Located =
  | { readonly kind: 'device'; readonly realPath: string; readonly device: BlockDevice }
  | { readonly kind: 'file'; readonly realPath: string; readonly size: number };

/**
 * Follows symbolic links to the device or file. Rejects with TARGET_NOT_FOUND, TARGET_NOT_BLOCK, TARGET_NOT_FILE or
 * NEEDS_ROOT (a folder on the way may not be entered).
 */
export async function locate(spec: TargetSpec, kernel: Kernel): Promise<Located> {
  const target = spec.path;
  const realPath = await realpath(target).catch((error: unknown) => {
    throw isSystemError(error, 'EACCES')
      ? failure('NEEDS_ROOT', { target }, error)
      : failure(spec.kind === 'virtual' ? 'TARGET_FILE_MISSING' : 'TARGET_NOT_FOUND', { target }, error);
  });
  const number = await kernel.deviceNumber(realPath);
  if (spec.kind === 'virtual') {
    const found = number === null ? await stat(realPath) : null;
    if (!found?.isFile()) throw failure('TARGET_NOT_FILE', { target });
    return { kind: 'file', realPath, size: found.size };
  }
  if (number === null) throw failure('TARGET_NOT_BLOCK', { target });
  const device = await blockByNumber(kernel, number);
  if (!device) throw failure('TARGET_NOT_FOUND', { target });
  return { kind: 'device', realPath, device };
}

/** Facts about a virtual disk file. */
export async function fileFacts(
  spec: TargetSpec,
  file: { readonly realPath: string; readonly size: number },
  usage: Usage,
): Promise<TargetFacts> {
  const source = spec.source?.path;
  return {
    nature: null,
    size: file.size,
    readOnly: false,
    serials: [],
    diskseq: null,
    uses: await usesOfFile(usage, file.realPath),
    systemMounts: [],
    holdsSource: source !== undefined && (await sameFile(source, file.realPath)),
  };
}

/** What a dry run tells of a target. */
export interface TargetReport {
  readonly path: string;
  readonly exists: boolean;
  readonly is_block_device: boolean;
  readonly size_bytes: number | null;
  /** Of the disk, its partitions and what stands on them. */
  readonly mountpoints: readonly string[];
  /** All reasons against writing to it, the gravest first. */
  readonly failures: readonly Failure[];
}

/** Looks at a target without opening it; needs no rights beyond reading sysfs and procfs. */
export async function inspectTarget(spec: TargetSpec, kernel: Kernel = realKernel): Promise<TargetReport> {
  const nothing = { path: spec.path, is_block_device: false, size_bytes: null, mountpoints: [] };
  let located: Located;
  try {
    located = await locate(spec, kernel);
  } catch (error) {
    const problem = asFailure(error);
    const exists = problem.code === 'TARGET_NOT_BLOCK' || problem.code === 'TARGET_NOT_FILE';
    return { ...nothing, exists, failures: [problem] };
  }
  const usage = await readUsage(kernel);
  const facts =
    located.kind === 'device'
      ? await gatherFacts(kernel, located.device, spec.source?.path ?? null, usage)
      : await fileFacts(spec, located, usage);
  return {
    path: spec.path,
    exists: true,
    is_block_device: located.kind === 'device',
    size_bytes: facts.size,
    mountpoints: facts.uses.flatMap((use) => (use.kind === 'mount' ? [use.at] : [])),
    failures: judge(spec, facts),
  };
}
