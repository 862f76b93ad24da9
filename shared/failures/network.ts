import { ExitCode, entry } from './entry.ts';

const { failed, misuse, needsRoot } = ExitCode;

/** The network side: DHCP, TFTP and the boot of machines. */
export const networkFailures = {
  PORT_TAKEN: entry<{ protocol: string; address: string; port: number; holder: string }>(
    failed,
    409,
    (d) => `${d.protocol} port ${d.port} on ${d.address} is held by ${d.holder}.`,
    'Stop that program, or choose another interface or port.',
  ),
  PORT_NOT_ALLOWED: entry<{ protocol: string; port: number; interface: string }>(
    needsRoot,
    500,
    (d) =>
      `${d.protocol} needs port ${d.port} on ${d.interface}, and this process may not open ports below 1024.`,
    'Start bty-web as root (it gives the rights up at once), give it CAP_NET_BIND_SERVICE, or let systemd hand it the sockets; bty-web doctor says what holds.',
  ),
  NO_SUCH_USER: entry<{ user: string }>(
    misuse,
    500,
    (d) => `bty-web is to run as "${d.user}", and this machine has no such user.`,
    'Make it with useradd --system, name another with --user, or stay root with --user root.',
  ),
  NO_SUCH_INTERFACE: entry<{ interface: string; known: string }>(
    misuse,
    404,
    (d) => `There is no network interface "${d.interface}"; there are ${d.known}.`,
    'Name one of these.',
  ),
  NO_ADDRESS: entry<{ interface: string }>(
    failed,
    409,
    (d) => `The interface ${d.interface} has no IPv4 address to answer from.`,
    'Give it a static address first, for instance 10.77.0.1/24.',
  ),
  FOREIGN_DHCP_SERVER: entry<{ interface: string; servers: string }>(
    failed,
    409,
    (d) => `Full DHCP was asked for on ${d.interface}, but ${d.servers} already leases addresses there.`,
    'Use proxy mode beside it, switch that server off, or insist with --dhcp-anyway (two servers that lease addresses in one network disturb each other).',
  ),
  DHCP_SETTINGS_INVALID: entry<{ interface: string; problem: string }>(
    misuse,
    422,
    (d) => `The DHCP settings of ${d.interface} do not fit: ${d.problem}.`,
    'Correct the settings; nothing was changed.',
  ),
  RESERVATION_INVALID: entry<{ mac: string; address: string; problem: string }>(
    misuse,
    422,
    (d) => `${d.address} cannot be reserved for ${d.mac}: ${d.problem}.`,
    'Choose an address that no other machine has.',
  ),
  NO_SUCH_LEASE: entry<{ what: string }>(
    failed,
    404,
    (d) => `There is no lease or reservation of ${d.what}.`,
    'List what there is with GET /dhcp/leases or GET /dhcp/reservations.',
  ),
  LEASES_NOT_SAVED: entry<{ path: string; problem: string }>(
    failed,
    503,
    (d) => `Leases must be on disk before they are confirmed, but ${d.path} cannot be written: ${d.problem}.`,
    'Make room on that disk or mend it: it is tried again every few seconds, and until then no address is leased.',
  ),
} as const;
