/** Serving an image: the appliance beside nginx, over the loopback interface of a namespace. */
import { spawn } from 'node:child_process';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { atMost, type Finding, finding, type Run, ratioAtLeast, type Section } from '../finding.ts';
import { rotate } from '../statistics.ts';
import { type Server, Stage, serverAddress } from './stage.ts';

const mebibytes = 1024;
const crowds = [1, 4, 16, 64] as const;
const contenders = ['bty-web', 'nginx', 'nginx without sendfile'] as const;
type Name = (typeof contenders)[number];
const ports: Readonly<Record<Name, number>> = {
  'bty-web': 8080,
  nginx: 8081,
  'nginx without sendfile': 8082,
};

async function image(path: string): Promise<void> {
  const file = await open(path, 'w');
  try {
    const piece = Buffer.alloc(1 << 20);
    for (let count = 0; count < mebibytes; count++) await file.write(piece.fill(count % 251));
  } finally {
    await file.close();
  }
}

function curl(stage: Stage, url: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn('ip', ['netns', 'exec', stage.space, 'curl', '-sf', '-o', '/dev/null', url], {
      stdio: 'ignore',
    });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code === 0));
  });
}

const urlOf = (name: Name) =>
  `http://${serverAddress}:${ports[name]}/${name === 'bty-web' ? 'images/' : ''}bench.img`;

async function nginx(stage: Stage, name: Name): Promise<Server> {
  const home = join(stage.lab.folder, `nginx-${ports[name]}`);
  await mkdir(home);
  const config = join(home, 'nginx.conf');
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  await writeFile(
    config,
    `daemon off; worker_processes 1; pid ${home}/pid; error_log ${home}/error.log; user root;
     events { worker_connections 512; }
     http { access_log off; sendfile ${name === 'nginx' ? 'on' : 'off'}; tcp_nopush on;
       ${folders.map((each) => `${each}_temp_path ${home}/${each};`).join(' ')}
       server { listen ${serverAddress}:${ports[name]}; root ${join(stage.lab.folder, 'state', 'images')}; } }`,
  );
  return stage.serve(name, 'nginx', ['-c', config, '-p', home], () => curl(stage, urlOf(name)));
}

interface Measured {
  /** GB/s, seconds of processor time for a GB, and the largest memory in MiB. */
  readonly rate: number;
  readonly cpu: number;
  readonly peak: number;
}

async function measured(stage: Stage, name: Name, server: Server, clients: number): Promise<Measured> {
  const gigabytes = (mebibytes * clients * 2 ** 20) / 1e9;
  const [cpu, began] = [server.cpu(), performance.now()];
  const came = await Promise.all(Array.from({ length: clients }, () => curl(stage, urlOf(name))));
  if (came.includes(false)) throw new Error(`${name} did not serve every client`);
  const seconds = (performance.now() - began) / 1000;
  return { rate: gigabytes / seconds, cpu: (server.cpu() - cpu) / gigabytes, peak: server.peak() / 2 ** 20 };
}

export async function benchServing({ rounds, say, signal }: Run): Promise<Section> {
  const stage = await Stage.make();
  const servers = new Map<Name, Server>();
  const all = new Map<string, Measured[]>();
  try {
    await mkdir(join(stage.lab.folder, 'state', 'images'), { recursive: true });
    await image(join(stage.lab.folder, 'state', 'images', 'bench.img'));
    servers.set('bty-web', await stage.appliance('off', () => curl(stage, urlOf('bty-web'))));
    for (const name of ['nginx', 'nginx without sendfile'] as const)
      servers.set(name, await nginx(stage, name));
    for (const clients of crowds) {
      for (let round = 0; round < rounds; round++) {
        for (const name of rotate(contenders, round)) {
          signal.throwIfAborted();
          const server = servers.get(name);
          if (!server) continue;
          const found = await measured(stage, name, server, clients);
          say(
            `serve ${clients} clients, ${name}: ${found.rate.toFixed(2)} GB/s, ${found.cpu.toFixed(2)} s/GB`,
          );
          all.set(`${name} ${clients}`, [...(all.get(`${name} ${clients}`) ?? []), found]);
        }
      }
    }
  } finally {
    for (const server of servers.values()) await server.stop();
    await stage.close();
  }
  const of = (name: Name, clients: number, pick: keyof Measured) =>
    (all.get(`${name} ${clients}`) ?? []).map((one) => one[pick]);
  const findings = crowds.flatMap((clients): Finding[] => {
    const row = (
      what: string,
      unit: string,
      pick: keyof Measured,
      bar: Finding['bar'],
      name: Name = 'nginx',
    ) =>
      finding(`${clients} client(s): ${what}`, unit, of('bty-web', clients, pick), bar, {
        name,
        values: of(name, clients, pick),
      });
    return [
      row('throughput', 'GB/s', 'rate', ratioAtLeast(1)),
      row('throughput', 'GB/s', 'rate', null, 'nginx without sendfile'),
      row('processor time', 's/GB', 'cpu', clients >= 4 ? atMost(0.5) : null),
      row('memory', 'MiB', 'peak', clients === 64 ? atMost(250) : null),
    ];
  });
  return { title: 'Serving an image', method, findings };
}

const method = `Made by \`npm run bench -- --only serve\`: curl fetches an image of ${mebibytes} MiB that lies in the page cache, within
one namespace. That is loopback: what sendfile saves shows on a network card, not here. nginx has one worker.`;
