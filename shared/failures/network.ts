import { ExitCode, entry } from './entry.ts';

const { failed } = ExitCode;

/** The network side: DHCP, TFTP and the boot of machines. */
export const networkFailures = {
  PORT_TAKEN: entry<{ protocol: string; address: string; port: number; holder: string }>(
    failed,
    409,
    (d) => `${d.protocol} port ${d.port} on ${d.address} is held by ${d.holder}.`,
    'Stop that program, or choose another interface or port.',
  ),
} as const;
