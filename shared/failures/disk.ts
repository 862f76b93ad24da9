import { amount, ExitCode, entry, type Range, type Where } from './entry.ts';

const { failed, misuse, targetRaced } = ExitCode;

/** The disk, when it is opened and while it is written. */
export const diskFailures = {
  // The disk, when it is opened
  TARGET_NOT_FOUND: entry<Where>(
    failed,
    404,
    (d) => `There is no disk at ${d.target}.`,
    'Run bty list disks.',
  ),
  TARGET_NOT_BLOCK: entry<Where>(
    failed,
    422,
    (d) => `${d.target} is not a block device.`,
    'Name a whole disk such as /dev/sdb; for a file use --virtual-disk.',
  ),
  TARGET_NOT_FILE: entry<Where>(
    failed,
    422,
    (d) => `${d.target} is not a regular file, so it cannot be a virtual disk.`,
    'Create one with truncate -s 8G FILE; name real disks with --target.',
  ),
  TARGET_FILE_MISSING: entry<Where>(
    failed,
    404,
    (d) => `There is no file at ${d.target} that could be a virtual disk.`,
    'Create one with truncate -s 8G FILE; name real disks with --target.',
  ),
  TARGET_IS_PARTITION: entry<Where & { disk: string }>(
    failed,
    422,
    (d) => `${d.target} is a partition of ${d.disk}, not a whole disk.`,
    'Name the whole disk.',
  ),
  TARGET_IS_LOOP: entry<Where & { backing: string }>(
    failed,
    422,
    (d) => `${d.target} is a loop device over ${d.backing}, not a real disk.`,
    'Add --allow-loop if that is what you mean.',
  ),
  TARGET_IS_VIRTUAL: entry<Where & { what: string }>(
    failed,
    422,
    (d) => `${d.target} is ${d.what}, which is not a disk that can be flashed.`,
    'Name a whole physical disk.',
  ),
  TARGET_READ_ONLY: entry<Where>(
    failed,
    409,
    (d) => `${d.target} is read-only.`,
    'Slide the write-protect switch of the card or stick, or choose another disk.',
  ),
  TARGET_TOO_SMALL: entry<
    Where & { image: string; imageBytes: number; atLeast?: boolean; targetBytes: number }
  >(
    failed,
    409,
    (d) =>
      `${d.image} needs ${d.atLeast ? 'at least ' : ''}${amount(d.imageBytes)}, and ${d.target} holds ${amount(d.targetBytes)}.`,
    'Choose a larger disk or a smaller image.',
  ),
  TARGET_SIZE_INVALID: entry<Where & { targetBytes: number }>(
    failed,
    422,
    (d) =>
      `${d.target} holds ${d.targetBytes} bytes; a virtual disk holds a whole number of 512-byte blocks, at least one.`,
    'Set its size, for example with truncate -s 8G FILE.',
  ),
  TARGET_NO_MEDIUM: entry<Where>(
    failed,
    409,
    (d) => `${d.target} has no medium in it (its size is zero).`,
    'Insert the card or disk.',
  ),
  TARGET_MOUNTED: entry<Where & { mounts: readonly string[] }>(
    failed,
    409,
    (d) => `${d.target} is in use: mounted at ${d.mounts.join(', ')}.`,
    'Unmount it first.',
  ),
  TARGET_SWAP: entry<Where & { device: string }>(
    failed,
    409,
    (d) => `${d.target} is in use: ${d.device} is swap space.`,
    'Switch it off with swapoff first.',
  ),
  TARGET_HELD: entry<Where & { device: string; holders: readonly string[] }>(
    failed,
    409,
    (d) => `${d.target} is in use: ${d.device} belongs to ${d.holders.join(', ')}.`,
    'Stop the volume, array or loop device first.',
  ),
  TARGET_IS_SYSTEM: entry<Where & { mounts: readonly string[] }>(
    failed,
    409,
    (d) => `${d.target} is the disk this system runs from (${d.mounts.join(', ')}).`,
    'Choose another disk.',
  ),
  TARGET_HOLDS_SOURCE: entry<Where & { image: string }>(
    failed,
    409,
    (d) => `${d.target} holds the image ${d.image} itself.`,
    'Copy the image to another disk first.',
  ),
  TARGET_BUSY: entry<Where & { problem?: string }>(
    targetRaced,
    409,
    (d) => `${d.target} is opened exclusively by another program${d.problem ? ` (${d.problem})` : ''}.`,
    'Close the program that uses it and try again.',
  ),
  TARGET_CHANGED: entry<Where & { what: string; expected: string; actual: string }>(
    targetRaced,
    409,
    (d) =>
      `${d.target} is no longer the disk that was chosen: its ${d.what} is ${d.actual}, it was ${d.expected}.`,
    'List the disks again and choose anew.',
  ),
  TARGET_UNEXPECTED: entry<Where & { what: string; expected: string; actual: string }>(
    failed,
    409,
    (d) => `${d.target} is not the expected disk: its ${d.what} is ${d.actual}, expected ${d.expected}.`,
    'Check which disk is meant; nothing was written.',
  ),
  TARGET_TWICE: entry<Where & { other: string }>(
    misuse,
    400,
    (d) => `${d.target} and ${d.other} are the same disk.`,
    'Name each disk once.',
  ),
  TARGET_OPEN_FAILED: entry<Where & { problem: string }>(
    failed,
    500,
    (d) => `${d.target} cannot be opened for writing: ${d.problem}.`,
    'Check the disk and its connection.',
  ),

  // The disk, while it is written
  WRITE_FAILED: entry<Range & { problem: string }>(
    failed,
    500,
    (d) => `${d.target} refused to store ${d.length} bytes at byte ${d.offset}: ${d.problem}.`,
    'The disk is failing or counterfeit; use another one.',
  ),
  WRITE_SHORT: entry<Range & { written: number }>(
    failed,
    500,
    (d) => `${d.target} stored only ${d.written} of ${d.length} bytes at byte ${d.offset}.`,
    'The disk is failing or counterfeit; use another one.',
  ),
  FLUSH_FAILED: entry<Where & { problem: string }>(
    failed,
    500,
    (d) => `${d.target} accepted the data but could not store all of it: flushing failed with ${d.problem}.`,
    'The disk is failing or was unplugged; use another one.',
  ),
  DISK_FULL: entry<Range>(
    failed,
    507,
    (d) => `${d.target} has no room for ${d.length} bytes at byte ${d.offset}, though its size says so.`,
    'For a virtual disk, free space on the file system that holds it; a real disk is counterfeit.',
  ),
  DISK_VANISHED: entry<Range>(
    failed,
    410,
    (d) =>
      `${d.target} disappeared while byte ${d.offset} was being written: it was unplugged or lost its power.`,
    'Plug it in again, avoid hubs, and flash it anew.',
  ),
  DISK_STALLED: entry<Range & { seconds: number }>(
    failed,
    504,
    (d) => `${d.target} has not answered for ${d.seconds} seconds (at byte ${d.offset}).`,
    'Unplug it, try another port or another disk.',
  ),
  READ_BACK_FAILED: entry<Range & { problem: string }>(
    failed,
    500,
    (d) => `${d.target} could not give back ${d.length} bytes at byte ${d.offset}: ${d.problem}.`,
    'The disk is failing or counterfeit; use another one.',
  ),
  VERIFY_MISMATCH: entry<Range>(
    failed,
    500,
    (d) =>
      `${d.target} gave back other bytes than were written, first within ${d.length} bytes at byte ${d.offset}.`,
    'The disk is failing or counterfeit; use another one.',
  ),
} as const;
