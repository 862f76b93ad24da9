import { ExitCode } from '../../shared/failure.ts';
import type { Loaded } from '../config/load.ts';
import { networkInterfaces } from '../desktop/interfaces.ts';

/** Prints the network interfaces as JSON; other DHCP servers are looked for on those of `--interface`. */
export async function listInterfaces({ config }: Loaded): Promise<ExitCode> {
  const interfaces = await networkInterfaces(config.interface);
  process.stdout.write(`${JSON.stringify({ interfaces })}\n`);
  return ExitCode.ok;
}
