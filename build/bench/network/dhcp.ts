/** Leases a second by perfdhcp: the appliance beside dnsmasq, each with its leases on the disk. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { atLeast, atMost, type Finding, finding, type Run, ratioAtLeast, type Section } from '../finding.ts';
import { rotate } from '../statistics.ts';
import { Stage, serverAddress } from './stage.ts';

const rates = [500, 2000, 6000] as const;
const seconds = 6;
const pool = ['10.77.64.1', '10.77.250.254'] as const;

export interface Exchange {
  /** Exchanges of four packets a second that came to their end. */
  readonly rate: number;
  /** Per cent of DISCOVERs and of REQUESTs without an answer within a second. */
  readonly lost: number;
  readonly lostAcks: number;
  /** Milliseconds until 99 of 100 answers came. */
  readonly offer: number;
  readonly ack: number;
}

/** What perfdhcp (1.x and 2.x, `-x t`) prints at its end. Its own rate counts its last wait for answers as well. */
export function parsePerfdhcp(text: string): Exchange {
  const numbers = (pattern: RegExp) => [...text.matchAll(pattern)].map(([, number]) => Number(number));
  const sent = numbers(/^sent packets: (\d+)/gm);
  const received = numbers(/^received packets: (\d+)/gm);
  const loss = (at: number) => {
    const [all = 0, came = 0] = [sent[at], received[at]];
    return all === 0 ? Number.NaN : ((all - came) / all) * 100;
  };
  const pairs = text
    .split(/^\*{3}Timestamps/m)
    .slice(1)
    .map((part) =>
      [...part.matchAll(/^sent \/ received: (\S+) \/ (\S+)/gm)]
        .map(([, from, to]) => ({ from: Number(from), to: Number(to) }))
        .filter(({ to }) => !Number.isNaN(to)),
    );
  const late = (at: number) => {
    const times = (pairs[at] ?? [])
      .map(({ from, to }) => (to - from) * 1000)
      .sort((left, right) => left - right);
    return times[Math.floor(times.length * 0.99)] ?? Number.NaN;
  };
  const [discovers = [], requests = []] = pairs;
  const first = discovers.reduce((least, { from }) => Math.min(least, from), Number.POSITIVE_INFINITY);
  const last = requests.reduce((most, { to }) => Math.max(most, to), first);
  const rate = requests.length === 0 ? 0 : requests.length / (last - first);
  return { rate, lost: loss(0), lostAcks: loss(1), offer: late(0), ack: late(1) };
}

const contenders = ['bty-web', 'dnsmasq'] as const;
type Name = (typeof contenders)[number];

async function started(stage: Stage, name: Name) {
  const once = ['-4', '-n', '1', '-R', '1', '-l', 'eth0', '-W', '500000', '-b', 'mac=00:0c:01:ff:ff:00'];
  const answers = async () =>
    /^received packets: 1/m.test((await stage.lab.run(stage.clients[0] ?? '', 'perfdhcp', once)).text);
  if (name === 'bty-web') return stage.appliance('full', answers);
  return stage.serve(
    name,
    'dnsmasq',
    [
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--user=root', '--no-ping'],
      ...['--interface=lab0', '--bind-interfaces', '--except-interface=lo', '--dhcp-authoritative'],
      ...[`--dhcp-range=${pool[0]},${pool[1]},255.255.0.0,1h`, '--dhcp-lease-max=200000'],
      `--dhcp-leasefile=${join(await mkdtemp(join(stage.lab.folder, 'dnsmasq-')), 'leases')}`,
    ],
    answers,
  );
}

async function exchange(name: Name, rate: number): Promise<Exchange & { readonly cpu: number }> {
  const stage = await Stage.make();
  try {
    const server = await started(stage, name);
    const before = server.cpu();
    const counts = ['-r', String(rate), '-p', String(seconds), '-R', String(rate * seconds), '-W', '1000000'];
    const { text } = await stage.lab.run(stage.clients[0] ?? '', 'perfdhcp', [
      ...['-4', ...counts, '-l', 'eth0', '-x', 't'],
    ]);
    const cpu = server.cpu() - before;
    await server.stop();
    const found = parsePerfdhcp(text);
    return { ...found, cpu: (cpu / Math.max(1, found.rate * seconds)) * 1000 };
  } finally {
    await stage.close();
  }
}

export async function benchDhcp({ rounds, say, signal }: Run): Promise<Section> {
  const all = new Map<string, (Exchange & { readonly cpu: number })[]>();
  for (let round = 0; round < rounds; round++) {
    for (const rate of rates) {
      for (const name of rotate(contenders, round)) {
        signal.throwIfAborted();
        const found = await exchange(name, rate);
        say(
          `dhcp ${rate}/s ${name} (${serverAddress}): ${found.rate.toFixed(0)}/s, ${found.lost.toFixed(1)} % lost`,
        );
        all.set(`${name} ${rate}`, [...(all.get(`${name} ${rate}`) ?? []), found]);
      }
    }
  }
  const findings = rates.flatMap((rate): Finding[] => {
    const of = (name: Name, pick: keyof Exchange | 'cpu') =>
      (all.get(`${name} ${rate}`) ?? []).map((one) => one[pick]);
    const against = (pick: keyof Exchange | 'cpu') => ({ name: 'dnsmasq', values: of('dnsmasq', pick) });
    const row = (what: string, unit: string, pick: keyof Exchange | 'cpu', bar: Finding['bar']) =>
      finding(`${rate}/s: ${what}`, unit, of('bty-web', pick), bar, against(pick));
    const isBar = rate === 2000;
    return [
      row('exchanges', '/s', 'rate', rate === 6000 ? ratioAtLeast(10) : isBar ? atLeast(1980) : null),
      row('OFFERs lost', '%', 'lost', isBar ? atMost(1) : null),
      row('OFFER, 99 %', 'ms', 'offer', isBar ? atMost(20) : null),
      row('ACK, 99 %', 'ms', 'ack', isBar ? atMost(20) : null),
      row('processor time of one', 'ms', 'cpu', null),
    ];
  });
  return { title: 'DHCP', method, findings };
}

const method = `Made by \`npm run bench -- --only dhcp\`: perfdhcp (Debian's kea) for ${seconds} seconds at each rate, a client for each
exchange, over a cable between two namespaces; a fresh server each time. Both write each lease to the disk before its ACK; dnsmasq
with \`--no-ping\`. An answer after a second is lost. What perfdhcp itself takes of the processors is taken from both.`;
