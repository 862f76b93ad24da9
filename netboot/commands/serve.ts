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
  for (const { address, port, secure, plane } of appliance.listening) {
    const host = address.includes(':') ? `[${address}]` : address;
    const who = plane === 'boot' ? ' for machines' : '';
    process.stdout.write(`bty-web listens on ${secure ? 'https' : 'http'}://${host}:${port}${who}\n`);
  }
  if (appliance.firstPassword !== null)
    process.stdout.write(
      `The password of the operator is ${appliance.firstPassword}\nIt is told this once only.\n`,
    );
  if (appliance.fingerprint !== null)
    process.stdout.write(`SHA-256 of the CA's certificate: ${appliance.fingerprint}\n`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  await appliance.close();
  return ExitCode.ok;
}
