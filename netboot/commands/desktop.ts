/** `bty-web desktop`: the appliance as the desktop app runs it. It serves like any other, and speaks with the app. */
import { desktopLine } from '../../shared/desktop/protocol.ts';
import { ExitCode } from '../../shared/failure.ts';
import { startAppliance } from '../appliance.ts';
import type { Loaded } from '../config/load.ts';
import { Desktop } from '../desktop/conversation.ts';
import { openDesktopSocket } from '../desktop/socket.ts';
import { version } from '../version.ts';
import { Again } from './again.ts';

/** Runs the appliance until the app says stop, the app is gone, SIGINT or SIGTERM. */
export async function desktop({ config }: Loaded): Promise<ExitCode> {
  // Whoever started it may be gone: what cannot be told then is in the log.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  process.stdout.write(desktopLine({ kind: 'begun', pid: process.pid }));
  const again = new Again(config);
  let appliance = await again.start(startAppliance);
  const port = appliance.listening.find(({ secure, plane }) => !secure && plane === 'all')?.port ?? 0;
  let stop = () => {};
  const stopped = new Promise<'stop'>((resolve) => {
    stop = () => resolve('stop');
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  process.on('SIGHUP', () => {});
  const people = new Desktop({
    listening: (stay) => ({
      kind: 'listening',
      pid: process.pid,
      version,
      url: `http://127.0.0.1:${port}`,
      stay,
      interface: config.interface[0] ?? '',
      mode: config.dhcp,
      imageFolder: config.imageRoot,
    }),
    openSession: () => appliance.services.access.openSession('127.0.0.1'),
    newPassword: () => appliance.services.access.renewPassword('127.0.0.1'),
    stop,
  });
  const closeSocket = await openDesktopSocket(config.stateDir, (socket) => people.accept(socket));
  if (closeSocket === null)
    appliance.services.log.warn('desktop', { problem: 'the path of the state directory is too long' });
  people.join(process.stdin, process.stdout);
  while ((await Promise.race([stopped, again.wished])) === 'again') {
    await appliance.close();
    appliance = await again.start(startAppliance);
  }
  await closeSocket?.();
  await appliance.close();
  process.stdin.destroy();
  return ExitCode.ok;
}
