import { address, choice, count, flag, path, port, secret, url, words } from './setting.ts';

const day = 86_400;

/** State, listening, access, machines. */
export const coreSettings = {
  stateDir: path('/var/lib/bty', 'DIR', 'Where the appliance keeps everything that it must not lose.'),
  webHost: address('0.0.0.0', 'Address that HTTP listens on.'),
  webPort: port(8080, 'Port that HTTP listens on.'),
  bootHost: address(
    null,
    'Another address for what machines ask (scripts, boot files, images); without it they ask on --web-host too.',
  ),
  bootPort: port(8080, 'Port that --boot-host listens on.'),
  tlsCert: path(null, 'FILE', 'Certificate chain (PEM): serve operators over TLS on --tls-port.'),
  tlsKey: path(null, 'FILE', 'Private key (PEM) of --tls-cert.'),
  tlsGenerated: flag(false, 'Serve operators over TLS with a CA of our own, whose fingerprint is printed.'),
  tlsPort: port(8443, 'Port that TLS listens on, at --web-host. HTTP then serves machines only.'),
  publicUrl: url('Address of this appliance as machines reach it; otherwise the one that they asked for.'),
  trustedProxy: words(
    'ADDRESSES',
    'Proxies whose X-Forwarded-For is believed: addresses or networks; any other word believes everyone.',
  ),
  adminPassword: secret(
    'PASSWORD',
    'Password of the operator; without one ever given, one is made and printed once.',
  ),
  sessionSecret: secret('TEXT', 'Mixed into the sessions: another text ends all of them.'),
  sessionSeconds: count(7 * day, [60, 366 * day], 'SECONDS', 'How long a session lasts after its last use.'),
  discoveryPolicy: choice(
    ['tui', 'inventory', 'local'],
    'tui',
    'Boot policy of a machine that is met for the first time.',
  ),
  unauthenticatedDone: flag(
    true,
    'Accept POST /pxe/MAC/done without a token from the address that last fetched the script of that machine.',
  ),
  ticketSeconds: count(
    4 * 3600,
    [60, 7 * day],
    'SECONDS',
    'How long the token of one boot is good after it was last used.',
  ),
  ticketAddress: flag(true, "Accept a boot's token only from the address that fetched its script."),
  loopBoots: count(
    5,
    [1, 1000],
    'COUNT',
    'Netboots without finishing, within --loop-minutes, after which a machine is stopped.',
  ),
  loopMinutes: count(60, [1, 10_080], 'MINUTES', 'Time in which --loop-boots are counted.'),
  verify: choice(['full', 'written', 'none'], 'written', 'How much a machine reads back after a flash.'),
  grow: flag(false, 'Let machines enlarge the last partition to the end of the disk after a flash.'),
  after: choice(['reboot', 'poweroff', 'kexec'], 'reboot', 'What machines do after a flash.'),
  bootEntry: choice(
    ['none', 'next', 'keep'],
    'none',
    'What UEFI firmware is told after a flash: nothing, the next boot only, or a lasting entry.',
  ),
  liveShell: flag(false, 'A flash that fails ends in a shell on the console of the machine.'),
  bulkLimit: count(
    100,
    [1, 1_000_000],
    'COUNT',
    'Machines that one bulk action may change without naming a higher limit.',
  ),
  retentionDays: count(0, [0, 36_500], 'DAYS', 'How long events are kept; 0 keeps them for ever.'),
  uiDir: path(null, 'DIR', 'Built pages of the web interface.'),
  logFormat: choice(['json', 'text'], 'json', 'Form of the log lines on standard error.'),
  logLevel: choice(['error', 'warn', 'info', 'debug'], 'info', 'Least important log lines that are written.'),
} as const;
