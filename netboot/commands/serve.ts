import { ExitCode } from '../../shared/failure.ts';
import { startAppliance } from '../appliance.ts';
import type { Loaded } from '../config/load.ts';
import { giveUpRoot } from './rights.ts';

/** Runs the appliance until SIGINT or SIGTERM. */
export async function serve(loaded: Loaded): Promise<ExitCode> {
  const { config } = loaded;
  const rights = giveUpRoot(loaded);
  if (rights !== null) process.stderr.write(`${rights}\n`);
  const appliance = await startAppliance({ config });
  const lines = appliance.listening.map(({ address, port, secure, plane }) => {
    const host = address.includes(':') ? `[${address}]` : address;
    const who = plane === 'boot' ? ' for machines' : '';
    return `bty-web listens on ${secure ? 'https' : 'http'}://${host}:${port}${who}`;
  });
  if (appliance.firstPassword !== null) {
    lines.push(`The password of the operator is ${appliance.firstPassword}`, 'It is told this once only.');
  }
  if (appliance.fingerprint !== null) lines.push(`SHA-256 of the CA's certificate: ${appliance.fingerprint}`);
  // One write, so that a script that reads the address has the rest too.
  process.stdout.write(`${lines.join('\n')}\n`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  await appliance.close();
  return ExitCode.ok;
}
