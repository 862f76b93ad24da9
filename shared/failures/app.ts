import { ExitCode, entry, type None } from './entry.ts';

const { failed, needsRoot, cancelled } = ExitCode;

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
  APPLIANCE_ENDED: entry<{ said: string }>(
    failed,
    502,
    (d) => `The appliance ended by itself; the last thing it said was: ${d.said}`,
    'It is started again after a while. Its log says more.',
  ),
  APPLIANCE_SILENT: entry<{ seconds: number }>(
    failed,
    502,
    (d) => `The appliance was started and did not answer within ${d.seconds} seconds.`,
    'It was ended and is started again. Its log says more.',
  ),
  APPLIANCE_NOT_HERE: entry<{ platform: string }>(
    failed,
    501,
    (d) => `The app cannot run an appliance on ${d.platform}.`,
    'Run bty-web on a machine with Linux.',
  ),
  APPLIANCE_RUNS: entry<None>(
    failed,
    409,
    () => 'The appliance runs already.',
    'Stop it first, then start it with other settings.',
  ),
  INTERFACE_UNPLUGGED: entry<{ interface: string }>(
    failed,
    503,
    (d) => `${d.interface} has no link: its cable is out, or nothing is switched on at the other end.`,
    'Plug the cable in. The appliance goes on by itself when the link is back.',
  ),
  INTERFACE_DOWN: entry<{ interface: string }>(
    failed,
    503,
    (d) => `${d.interface} is switched off.`,
    'Switch it on in the network settings of this system. The appliance goes on by itself then.',
  ),
  IMAGE_FOLDER_UNUSABLE: entry<{ path: string; problem: string }>(
    failed,
    409,
    (d) => `Images cannot be kept in ${d.path}: ${d.problem}.`,
    'Choose another folder.',
  ),
  PORTS_DENIED: entry<None>(
    needsRoot,
    403,
    () => 'The policy of this system does not let this user open the ports of network boot.',
    'Ask an administrator of this machine. Nothing was started.',
  ),
  PORTS_WRONG_PASSWORD: entry<None>(
    needsRoot,
    403,
    () => 'Permission to open the ports of network boot was not given: the password was wrong.',
    'Try again with the password of an administrator. Nothing was started.',
  ),
  PORTS_DISMISSED: entry<None>(
    cancelled,
    499,
    () => 'The question for permission was closed.',
    'Start again and confirm it. Nothing was started.',
  ),
  PORTS_NO_AGENT: entry<None>(
    needsRoot,
    501,
    () => 'Nobody could be asked for permission: this session has no polkit authentication agent.',
    'Start one (desktops bring one along; in a terminal: pkttyagent), or run "sudo bty-web".',
  ),
  PORTS_UNAVAILABLE: entry<{ problem: string }>(
    needsRoot,
    501,
    (d) => `Permission to open the ports of network boot cannot be asked for here: ${d.problem}.`,
    'Install polkit (pkexec), or run "sudo bty-web".',
  ),
} as const;
