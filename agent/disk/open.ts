/** Opens a disk for writing, after everything that could be hurt by it was ruled out on the opened descriptor. */
import { close, constants, fstat, open, read } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { asFailure, type Failure, failure } from '../../shared/failure.ts';
import {
  deviceBlockSize,
  deviceReadOnly,
  deviceSequence,
  deviceSize,
  isSystemError,
  lockExclusively,
  lockShared,
} from '../system/native.ts';
import { type BlockDevice, blockByNumber } from './block.ts';
import { DescriptorDisk } from './descriptor.ts';
import {
  type DeviceTarget,
  gatherFacts,
  judge,
  judgeNature,
  natureOf,
  type TargetSpec,
  type VirtualTarget,
} from './guard.ts';
import { type Kernel, numberOf, kernel as realKernel } from './kernel.ts';
import { findOpeners } from './openers.ts';
import { fileFacts, locate } from './target.ts';
import { descendantsOf, readUsage } from './usage.ts';

const openFile = promisify(open);
const closeFile = promisify(close);
const statFile = promisify(fstat);
const readFile = promisify(read);

export interface OpenOptions {
  readonly signal?: AbortSignal;
  /**
   * Milliseconds to wait for a disk that others hold shortly: udev locks and reads every disk that was just
   * plugged in or written (systemd's block device locking).
   */
  readonly patience?: number;
}

/**
 * Opens `spec` exclusively for reading and writing. Rejects with the Failure that tells why not; nothing was
 * written then. The caller closes the handle.
 */
export async function openDisk(spec: TargetSpec, options: OpenOptions = {}): Promise<DescriptorDisk> {
  if (process.platform !== 'linux') {
    throw failure('USAGE', { problem: `Writing to disks is built for Linux; this is ${process.platform}.` });
  }
  try {
    return spec.kind === 'device' ? await openDevice(spec, options) : await openVirtual(spec, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw asFailure(error);
  }
}

interface Opened {
  readonly descriptor: number;
  readonly direct: boolean;
}

/** Opens `path` with direct I/O, or without where that is not to be had. Rejects with the system's error. */
async function openDirect(path: string, flags: number): Promise<Opened> {
  try {
    return { descriptor: await openFile(path, flags | constants.O_DIRECT), direct: true };
  } catch (error) {
    if (!isSystemError(error, 'EINVAL')) throw error; // open(2): the file system does not support O_DIRECT
    return { descriptor: await openFile(path, flags), direct: false };
  }
}

async function openDevice(spec: DeviceTarget, options: OpenOptions): Promise<DescriptorDisk> {
  const kernel = realKernel;
  const located = await locate(spec, kernel);
  if (located.kind !== 'device') throw failure('TARGET_NOT_BLOCK', { target: spec.path });
  // Opening alone has effects on some devices (it spins up, loads, claims), so the wrong kind is not opened at all.
  const wrong = judgeNature(spec, await natureOf(located.device));
  if (wrong) throw wrong;

  const deadline = performance.now() + (options.patience ?? 2000);
  const { descriptor, direct } = await openExclusively(spec, kernel, located, deadline, options);
  try {
    await judgeOpened(spec, kernel, descriptor);
    await lock(spec, kernel, descriptor, located.realPath, deadline, options);
    return new DescriptorDisk({
      kind: 'device',
      descriptor,
      path: spec.path,
      size: deviceSize(descriptor),
      blockSize: deviceBlockSize(descriptor),
      direct,
    });
  } catch (error) {
    await closeFile(descriptor);
    throw error;
  }
}

/** Linux gives O_EXCL without O_CREAT a meaning for block devices, open(2): EBUSY while the system uses it. */
async function openExclusively(
  spec: DeviceTarget,
  kernel: Kernel,
  located: { readonly realPath: string; readonly device: BlockDevice },
  deadline: number,
  options: OpenOptions,
): Promise<Opened> {
  const flags = constants.O_RDWR | constants.O_EXCL;
  try {
    return await openDirect(located.realPath, flags);
  } catch (error) {
    const reason = await explainOpen(spec, kernel, located.device, error);
    if (reason) throw reason;
  }
  try {
    return await patiently(deadline, options, () => openDirect(located.realPath, flags));
  } catch (error) {
    const reason = await explainOpen(spec, kernel, located.device, error);
    throw reason ?? (await busy(spec, kernel, located.device, located.realPath));
  }
}

/** Checks what was opened, whatever the path leads to by now. */
async function judgeOpened(spec: DeviceTarget, kernel: Kernel, descriptor: number): Promise<void> {
  const status = await statFile(descriptor, { bigint: true });
  if (!status.isBlockDevice()) throw failure('TARGET_NOT_BLOCK', { target: spec.path });
  const device = await blockByNumber(kernel, numberOf(status.rdev));
  if (!device) throw failure('TARGET_NOT_FOUND', { target: spec.path });
  const facts = await gatherFacts(kernel, device, spec.source?.path ?? null);
  const [first] = judge(spec, {
    ...facts,
    size: deviceSize(descriptor),
    readOnly: facts.readOnly || deviceReadOnly(descriptor),
    diskseq: deviceSequence(descriptor) ?? facts.diskseq,
  });
  if (first) throw first;
}

/** Why a block device cannot be opened; null when it is busy and sysfs does not tell why. */
async function explainOpen(
  spec: DeviceTarget,
  kernel: Kernel,
  device: BlockDevice,
  error: unknown,
): Promise<Failure | null> {
  const target = spec.path;
  if (isSystemError(error, 'EBUSY', 'EACCES', 'EPERM')) {
    const [inTheWay] = judge(spec, await gatherFacts(kernel, device, spec.source?.path ?? null));
    if (inTheWay) return inTheWay;
    if (isSystemError(error, 'EBUSY')) return null;
    if (process.geteuid?.() !== 0) return failure('NEEDS_ROOT', { target }, error);
  }
  if (isSystemError(error, 'EROFS')) return failure('TARGET_READ_ONLY', { target }, error);
  if (isSystemError(error, 'ENXIO', 'ENOMEDIUM')) return failure('TARGET_NO_MEDIUM', { target }, error);
  if (isSystemError(error, 'ENOENT', 'ENODEV')) return failure('TARGET_NOT_FOUND', { target }, error);
  return openFailed(target, error);
}

function openFailed(target: string, error: unknown): Failure {
  return failure('TARGET_OPEN_FAILED', { target, problem: problemOf(error) }, error);
}

function problemOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The failure for a disk that is in use without a trace in sysfs or in our own mounts. */
async function busy(
  spec: TargetSpec,
  kernel: Kernel,
  device: BlockDevice,
  realPath: string,
): Promise<Failure> {
  const family = await descendantsOf(kernel, await readUsage(kernel), device);
  const openers = await findOpeners(kernel, realPath, new Set(family.map((member) => member.device.number)));
  if (openers.mounts.length > 0)
    return failure('TARGET_MOUNTED', { target: spec.path, mounts: openers.mounts });
  return busyWith(spec.path, openers.programs);
}

function busyWith(target: string, programs: readonly string[]): Failure {
  return failure('TARGET_BUSY', {
    target,
    ...(programs.length === 0 ? {} : { problem: programs.join(', ') }),
  });
}

/** Locks as https://systemd.io/BLOCK_DEVICE_LOCKING asks, so that udev leaves the disk alone. */
async function lock(
  spec: TargetSpec,
  kernel: Kernel,
  descriptor: number,
  realPath: string,
  deadline: number,
  options: OpenOptions,
): Promise<void> {
  try {
    await patiently(deadline, options, () => lockExclusively(descriptor));
  } catch (error) {
    if (!isSystemError(error, 'EAGAIN')) throw openFailed(spec.path, error);
    const number = await kernel.deviceNumber(realPath);
    const openers = await findOpeners(kernel, realPath, new Set(number === null ? [] : [number]));
    // This program has it open by now, too.
    const others = openers.programs.filter((program) => program !== 'this program');
    throw busyWith(spec.path, others);
  }
}

/**
 * TARGET_BUSY when another program has locked the disk, as bty and udev do while they write or read it; null when none
 * has, or when this user may not look. Writes nothing, and is no promise for a moment later.
 */
export async function heldByOthers(spec: TargetSpec): Promise<Failure | null> {
  const kernel = realKernel;
  const { realPath } = await locate(spec, kernel);
  let descriptor: number;
  try {
    descriptor = await openFile(realPath, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  try {
    await lockShared(descriptor);
    return null;
  } catch (error) {
    if (!isSystemError(error, 'EAGAIN')) return null;
    const number = await kernel.deviceNumber(realPath);
    const { programs } = await findOpeners(kernel, realPath, new Set(number === null ? [] : [number]));
    return busyWith(
      spec.path,
      programs.filter((program) => program !== 'this program'),
    );
  } finally {
    await closeFile(descriptor);
  }
}

/** Repeats `attempt` while it fails with EBUSY or EAGAIN, until the deadline. */
async function patiently<Result>(
  deadline: number,
  options: OpenOptions,
  attempt: () => Promise<Result>,
): Promise<Result> {
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (!isSystemError(error, 'EBUSY', 'EAGAIN') || performance.now() >= deadline) throw error;
    }
    await setTimeout(50, undefined, options.signal ? { signal: options.signal } : {});
  }
}

async function openVirtual(spec: VirtualTarget, options: OpenOptions): Promise<DescriptorDisk> {
  const target = spec.path;
  const kernel = realKernel;
  const located = await locate(spec, kernel);
  if (located.kind !== 'file') throw failure('TARGET_NOT_FILE', { target });
  let opened: Opened;
  try {
    opened = await openDirect(located.realPath, constants.O_RDWR);
  } catch (error) {
    throw explainVirtual(target, error);
  }
  try {
    const status = await statFile(opened.descriptor);
    if (!status.isFile()) throw failure('TARGET_NOT_FILE', { target });
    const file = { realPath: located.realPath, size: status.size };
    const [first] = judge(spec, await fileFacts(spec, file, await readUsage(kernel)));
    if (first) throw first;
    const blockSize = opened.direct ? await alignmentOf(opened.descriptor, status.size) : 512;
    if (blockSize === null) {
      const buffered = await openFile(located.realPath, constants.O_RDWR);
      await closeFile(opened.descriptor);
      opened = { descriptor: buffered, direct: false };
    }
    const deadline = performance.now() + (options.patience ?? 2000);
    await lock(spec, kernel, opened.descriptor, located.realPath, deadline, options);
    return new DescriptorDisk({
      kind: 'file',
      descriptor: opened.descriptor,
      path: target,
      size: status.size,
      blockSize: blockSize ?? 512,
      direct: opened.direct,
    });
  } catch (error) {
    await closeFile(opened.descriptor);
    throw error;
  }
}

function explainVirtual(target: string, error: unknown): Failure {
  if (isSystemError(error, 'EACCES', 'EPERM') && process.geteuid?.() !== 0) {
    return failure('NEEDS_ROOT', { target }, error);
  }
  if (isSystemError(error, 'EROFS')) return failure('TARGET_READ_ONLY', { target }, error);
  if (isSystemError(error, 'ENOENT')) return failure('TARGET_FILE_MISSING', { target }, error);
  if (isSystemError(error, 'ETXTBSY'))
    return failure('TARGET_BUSY', { target, problem: problemOf(error) }, error);
  return openFailed(target, error);
}

/**
 * Multiple of bytes that direct I/O on this file wants: open(2) leaves it to the file system, so it is tried. Null
 * when the file's own size does not fit it.
 */
async function alignmentOf(descriptor: number, size: number): Promise<number | null> {
  const page = new Uint8Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer); // page aligned
  for (const alignment of [512, 4096]) {
    if (size % alignment !== 0) continue;
    try {
      await readFile(descriptor, page, 0, alignment, Math.min(alignment, size - alignment));
      return alignment;
    } catch (error) {
      if (!isSystemError(error, 'EINVAL')) throw error;
    }
  }
  return null;
}
