import { ExitCode } from '../../shared/failure.ts';
import { type Appliance, startAppliance } from '../appliance.ts';
import type { Loaded } from '../config/load.ts';
import { Again } from './again.ts';
import { giveUpRoot } from './rights.ts';

/** Runs the appliance until SIGINT or SIGTERM. */
export async function serve(loaded: Loaded): Promise<ExitCode> {
  const { config } = loaded;
  const rights = giveUpRoot(loaded);
  if (rights !== null) process.stderr.write(`${rights}\n`);
  const again = new Again(config);
  let appliance = await again.start(startAppliance);
  // One write, so that a script that reads the address has the rest too.
  process.stdout.write(`${greeting(appliance).join('\n')}\n`);
  let stop = () => {};
  const stopped = new Promise<'stop'>((resolve) => {
    stop = () => resolve('stop');
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  while ((await Promise.race([stopped, again.wished])) === 'again') {
    await appliance.close();
    if (again.leavesToSystem) return ExitCode.failed;
    appliance = await again.start(startAppliance);
  }
  await appliance.close();
  return ExitCode.ok;
}

function greeting({ listening, firstPassword, fingerprint }: Appliance): readonly string[] {
  const lines = listening.map(({ address, port, secure, plane }) => {
    const host = address.includes(':') ? `[${address}]` : address;
    const who = plane === 'boot' ? ' for machines' : '';
    return `bty-web listens on ${secure ? 'https' : 'http'}://${host}:${port}${who}`;
  });
  if (firstPassword !== null)
    lines.push(`The password of the operator is ${firstPassword}`, 'It is told this once only.');
  if (fingerprint !== null) lines.push(`SHA-256 of the CA's certificate: ${fingerprint}`);
  return lines;
}
