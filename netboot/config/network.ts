import { choice, flag, path, port, text, words } from './setting.ts';

/** DHCP, TFTP and what they send. */
export const networkSettings = {
  interface: words('NAMES', 'Network interfaces on which machines are booted.'),
  dhcp: choice(
    ['off', 'proxy', 'full'],
    'off',
    'What is answered on --interface: boot information beside another DHCP server (proxy), or addresses too (full).',
  ),
  dhcpAnyway: flag(false, 'Start full DHCP although another server leases addresses there.'),
  tftp: flag(true, 'Serve boot files over TFTP on the interfaces on which DHCP answers.'),
  tftpPort: port(69, 'UDP port of TFTP.'),
  tftpSinglePort: flag(
    false,
    'Send whole TFTP transfers from the listening port, for machines behind address translation.',
  ),
  ipxeDir: path(null, 'DIR', 'Builds of iPXE that go before those of the distribution.'),
  user: text(
    'bty',
    'NAME',
    'Whom the process becomes when it is started as root; it keeps the right to bind low ports. "root" stays root.',
  ),
} as const;
