/** TFTP by atftp: the appliance beside atftpd and dnsmasq, for one client and for 64 at once. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { noise } from '../../../netboot/testing/files.ts';
import { type Bar, finding, type Run, ratioAtLeast, type Section } from '../finding.ts';
import { rotate } from '../statistics.ts';
import { fetchLate } from './late.ts';
import { type Server, Stage, serverAddress } from './stage.ts';

const spaces = 8;
const large = 60;
const small = 4;
const contenders = ['bty-web', 'atftpd', 'dnsmasq'] as const;
type Name = (typeof contenders)[number];

async function started(stage: Stage, name: Name): Promise<Server> {
  // The appliance serves its boot folder, the others the very same files.
  const folder = join(stage.lab.folder, 'state', 'boot');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'large.bin'), noise(large * 2 ** 20, 5));
  await writeFile(join(folder, 'small.bin'), noise(small * 2 ** 20, 6));
  await writeFile(join(folder, 'tiny.bin'), noise(1000, 7));
  const ready = () => fetched(stage, 0, 'tiny.bin', 1).then(() => true);
  if (name === 'bty-web') return stage.appliance('full', ready);
  if (name === 'atftpd') {
    const flags = [
      '--daemon',
      '--no-fork',
      '--user',
      'root',
      '--bind-address',
      serverAddress,
      '--maxthread',
      '200',
    ];
    return stage.serve(name, 'atftpd', [...flags, folder], ready);
  }
  return stage.serve(
    name,
    'dnsmasq',
    [
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--user=root', '--tftp-max=200'],
      ...['--interface=lab0', '--bind-interfaces', '--except-interface=lo'],
      ...['--enable-tftp', `--tftp-root=${folder}`],
    ],
    ready,
  );
}

async function fetched(stage: Stage, space: number, file: string, windowSize: number): Promise<void> {
  const options = [
    '--option',
    'blksize 1468',
    ...(windowSize > 1 ? ['--option', `windowsize ${windowSize}`] : []),
  ];
  await stage.run(space, 'timeout', [
    ...['60', 'atftp', ...options, '--tftp-timeout', '2', '-g', '-r', file, '-l', '/dev/null'],
    ...[serverAddress, '69'],
  ]);
}

interface Measured {
  /** MiB a second. */
  readonly one: number;
  readonly many: number;
  readonly late: number;
  /** Seconds of processor time for a GiB, with one client and with many. */
  readonly oneCpu: number;
  readonly manyCpu: number;
}

async function timed(server: Server, mebibytes: number, work: () => Promise<unknown>) {
  const [cpu, began] = [server.cpu(), performance.now()];
  await work();
  const seconds = (performance.now() - began) / 1000;
  return { rate: mebibytes / seconds, cpu: ((server.cpu() - cpu) / mebibytes) * 1024 };
}

async function measured(name: Name, clients: number): Promise<Measured> {
  const stage = await Stage.make(spaces);
  try {
    const server = await started(stage, name);
    await fetched(stage, 0, 'large.bin', 16);
    const one = await timed(server, large, () => fetched(stage, 0, 'large.bin', 16));
    const many = await timed(server, small * clients, () =>
      Promise.all(
        Array.from({ length: clients }, (_, index) => fetched(stage, index % spaces, 'small.bin', 16)),
      ),
    );
    const late = await fetchLate(stage, 'small.bin');
    await server.stop();
    return { one: one.rate, many: many.rate, late, oneCpu: one.cpu, manyCpu: many.cpu };
  } finally {
    await stage.close();
  }
}

export async function benchTftp({ rounds, say, signal }: Run): Promise<Section> {
  const clients = 64;
  const all = new Map<Name, Measured[]>(contenders.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of rotate(contenders, round)) {
      signal.throwIfAborted();
      const found = await measured(name, clients);
      say(`tftp ${name}: ${found.one.toFixed(0)} MiB/s alone, ${found.many.toFixed(0)} MiB/s for ${clients}`);
      all.get(name)?.push(found);
    }
  }
  const of = (name: Name, pick: keyof Measured) => (all.get(name) ?? []).map((one) => one[pick]);
  const row = (work: string, unit: string, pick: keyof Measured, against: Name, bar: Bar | null) =>
    finding(work, unit, of('bty-web', pick), bar, { name: against, values: of(against, pick) });
  return {
    title: 'TFTP',
    method,
    findings: [
      row('one client', 'MiB/s', 'one', 'atftpd', ratioAtLeast(1.1)),
      row('one client', 'MiB/s', 'one', 'dnsmasq', null),
      row(`${clients} clients at once`, 'MiB/s', 'many', 'atftpd', ratioAtLeast(0.8)),
      row(`${clients} clients at once`, 'MiB/s', 'many', 'dnsmasq', null),
      row('one client, 1 ms away', 'MiB/s', 'late', 'dnsmasq', ratioAtLeast(10)),
      row('one client, 1 ms away', 'MiB/s', 'late', 'atftpd', null),
      row('processor time, one client', 's/GiB', 'oneCpu', 'atftpd', null),
      row(`processor time, ${clients} clients`, 's/GiB', 'manyCpu', 'atftpd', null),
    ],
  };
}

const method = `Made by \`npm run bench -- --only tftp\`: atftp fetches ${large} MiB (alone) or ${small} MiB (each of many, from ${spaces}
namespaces) with blksize 1468 and windowsize 16, which dnsmasq does not know. One millisecond away: a client of our own
acknowledges each window a millisecond late, since the kernel here cannot delay packets.`;
