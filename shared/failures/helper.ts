import { ExitCode, entry, type None } from './entry.ts';

const { failed, needsRoot, cancelled } = ExitCode;

/** The privileged helper of the desktop app, and what stands between the two. */
export const helperFailures = {
  HELPER_PROTOCOL: entry<{ problem: string }>(
    failed,
    400,
    (d) => `The helper was sent something that it does not take: ${d.problem}.`,
    'Install the app anew, so that both of its halves have the same version.',
  ),
  HELPER_NONSENSE: entry<{ problem: string }>(
    failed,
    502,
    (d) => `The helper said something that the app does not know: ${d.problem}.`,
    'Install the app anew, so that both of its halves have the same version. Flash the disks again.',
  ),
  HELPER_ENDED: entry<{ said?: string }>(
    failed,
    502,
    (d) =>
      `The helper ended before it said how the flash went${d.said ? `; the last thing it said was: ${d.said}` : ''}.`,
    'Take the disks for unfinished and flash them again. It may have been ended by somebody, or have run out of memory.',
  ),
  HELPER_HALVED: entry<None>(
    failed,
    500,
    () => 'The part of the helper that holds the disks was ended, so the flash was ended, too.',
    'Flash the disks again.',
  ),
  HELPER_RIGHTS: entry<{ problem: string }>(
    failed,
    500,
    (d) => `The helper could not give up its rights before reading the image: ${d.problem}.`,
    'Nothing was written. Please report this.',
  ),
  UNMOUNT_FAILED: entry<{ target: string; mountpoint: string; problem: string }>(
    failed,
    409,
    (d) => `${d.mountpoint}, which lies on ${d.target}, cannot be unmounted: ${d.problem}.`,
    'Close the programs and windows that use it, and try again.',
  ),
  ADD_REFUSED: entry<{ target: string; reason: string }>(
    failed,
    409,
    (d) => `${d.target} cannot join the flash: ${d.reason}.`,
    'Flash it when this flash has ended.',
  ),
  ELEVATION_DENIED: entry<None>(
    needsRoot,
    403,
    () => 'The policy of this system does not let this user write to disks.',
    'Ask an administrator of this machine. Nothing was written.',
  ),
  ELEVATION_WRONG_PASSWORD: entry<None>(
    needsRoot,
    403,
    () => 'Permission to write to disks was not given: the password was wrong.',
    'Try again with the password of an administrator. Nothing was written.',
  ),
  ELEVATION_DISMISSED: entry<None>(
    cancelled,
    499,
    () => 'The question for permission was closed.',
    'Start again and confirm it. Nothing was written.',
  ),
  ELEVATION_NO_AGENT: entry<None>(
    needsRoot,
    501,
    () => 'Nobody could be asked for permission: this session has no polkit authentication agent.',
    'Start one (desktops bring one along; in a terminal: pkttyagent), or run "sudo bty flash".',
  ),
  ELEVATION_UNAVAILABLE: entry<{ problem: string }>(
    needsRoot,
    501,
    (d) => `Permission to write to disks cannot be asked for here: ${d.problem}.`,
    'Install polkit (pkexec), or run "sudo bty flash".',
  ),
} as const;
