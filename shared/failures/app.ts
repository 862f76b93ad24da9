import { ExitCode, entry, type None } from './entry.ts';

const { failed } = ExitCode;

/** The desktop app, between its window and the program that does the work. */
export const appFailures = {
  PROGRAM_MISSING: entry<{ program: string; problem: string }>(
    failed,
    500,
    (d) => `The program that reads images and writes disks (${d.program}) cannot be started: ${d.problem}.`,
    'Install the app anew: a part of it is missing.',
  ),
  PROGRAM_FAILED: entry<{ purpose: string; problem: string }>(
    failed,
    500,
    (d) => `Could not ${d.purpose}: ${d.problem}`,
    'Try it again. If it persists, save a report and send it to whoever maintains the app.',
  ),
  IMAGE_LOOK_FAILED: entry<{ location: string; problem: string }>(
    failed,
    422,
    (d) => `${d.location} cannot be read as an image: ${d.problem}`,
    'Choose another image.',
  ),
  IMAGE_NOT_CHOSEN: entry<None>(
    failed,
    409,
    () => 'No image is chosen that could be written.',
    'Choose an image.',
  ),
  DISK_LEFT: entry<{ disk: string }>(
    failed,
    409,
    (d) => `${d.disk} is no longer the disk that was shown: it was unplugged or exchanged.`,
    'Look at the list again and choose anew.',
  ),
  FLASH_RUNNING: entry<None>(
    failed,
    409,
    () => 'Something is being written already.',
    'Wait until it has ended, or cancel it.',
  ),
  MESSAGE_REFUSED: entry<{ problem: string }>(
    failed,
    400,
    (d) => `The window asked for something that it may not: ${d.problem}.`,
    'Close the app and open it again.',
  ),
} as const;
