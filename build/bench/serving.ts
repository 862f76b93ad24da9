/**
 * Serving an image over loopback: the appliance beside nginx with sendfile, in rotated rounds. Loopback only: what
 * sendfile saves shows on a network card.
 * Arguments: MiB of the image (1024), rounds (3), numbers of clients (1,4,16,64).
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const [size = '1024', turns = '3', crowds = '1,4,16,64'] = process.argv.slice(2);
const mebibytes = Number(size);
const rounds = Number(turns);
const folder = mkdtempSync(join(tmpdir(), 'bty-serving-'));
const image = join(folder, 'state', 'images', 'bench.img');
/** Clock ticks of /proc/PID/stat; Linux has 100 to the second everywhere (sysconf(3), _SC_CLK_TCK). */
const ticks = 100;

interface Server {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  readonly stop: () => void;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function answering(url: string): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    const answer = await fetch(url, { method: 'HEAD' }).catch(() => null);
    if (answer?.ok) return;
    await pause(50);
  }
  throw new Error(`${url} does not answer`);
}

async function appliance(): Promise<Server> {
  const port = await freePort();
  const main = join(import.meta.dirname, '..', '..', 'netboot', 'main.ts');
  const flags = ['--state-dir', join(folder, 'state'), '--web-host', '127.0.0.1', '--web-port', String(port)];
  const child = spawn(process.execPath, [main, ...flags], {
    stdio: 'ignore',
    env: { ...process.env, BTY_ADMIN_PASSWORD: 'bench-only' },
  });
  const base = `http://127.0.0.1:${port}`;
  await answering(`${base}/images/bench.img`);
  for (;;) {
    const rows: unknown = await (await fetch(`${base}/images`)).json();
    if (Array.isArray(rows) && rows.length > 0) break;
    await pause(100);
  }
  return { name: 'bty-web', url: `${base}/images/bench.img`, pid: child.pid ?? 0, stop: () => child.kill() };
}

async function nginx(sendfile: 'on' | 'off'): Promise<Server> {
  const port = await freePort();
  const home = join(folder, `nginx-${sendfile}`);
  await mkdir(home);
  const config = join(home, 'nginx.conf');
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    config,
    `daemon off; worker_processes 1; pid ${home}/pid; error_log ${home}/error.log; user root;
     events { worker_connections 512; }
     http { access_log off; sendfile ${sendfile}; tcp_nopush on; ${paths.map((name) => `${name}_temp_path ${home}/${name};`).join(' ')}
       server { listen 127.0.0.1:${port}; root ${join(folder, 'state', 'images')}; } }`,
  );
  const child = spawn('nginx', ['-c', config, '-p', home], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}/bench.img`;
  await answering(url);
  return { name: `nginx sendfile ${sendfile}`, url, pid: child.pid ?? 0, stop: () => child.kill() };
}

/** The process and its children. */
function tree(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(pid);
      } catch {
        return false;
      }
    });
  return [pid, ...children.flatMap((name) => tree(Number(name)))];
}

function cpuSeconds(pid: number): number {
  return tree(pid).reduce((sum, one) => {
    const fields = readFileSync(`/proc/${one}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + (Number(fields[11]) + Number(fields[12])) / ticks;
  }, 0);
}

function peakMebibytes(pid: number): number {
  return tree(pid).reduce((sum, one) => {
    const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${one}/status`, 'utf8'));
    return sum + Number(found?.[1] ?? 0) / 1024;
  }, 0);
}

function client(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('curl', ['-sf', '-o', '/dev/null', url], { stdio: 'ignore' });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`curl ended with ${code}`))));
  });
}

const heading =
  'clients | server | GB/s median [min-max] | CPU s/GB median | peak MiB\n---|---|---|---|---\n';
const middle = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

async function measure(): Promise<void> {
  await mkdir(join(folder, 'state', 'images'), { recursive: true });
  const file = await open(image, 'w');
  const piece = Buffer.alloc(1024 * 1024);
  for (let count = 0; count < mebibytes; count++) {
    piece.fill(count % 251);
    await file.write(piece);
  }
  await file.close();
  const gigabytes = (await stat(image)).size / 1e9;
  const servers = [await appliance(), await nginx('on'), await nginx('off')];
  try {
    process.stdout.write(heading);
    for (const clients of crowds.split(',').map(Number)) {
      const results = servers.map(() => ({ speed: [] as number[], cpu: [] as number[] }));
      for (let round = 0; round < rounds; round++) {
        for (let place = 0; place < servers.length; place++) {
          const index = (place + round) % servers.length;
          const [server, result] = [servers[index], results[index]];
          if (!server || !result) continue;
          const [cpu, began] = [cpuSeconds(server.pid), performance.now()];
          await Promise.all(Array.from({ length: clients }, () => client(server.url)));
          const seconds = (performance.now() - began) / 1000;
          result.speed.push((gigabytes * clients) / seconds);
          result.cpu.push((cpuSeconds(server.pid) - cpu) / (gigabytes * clients));
        }
      }
      for (const [index, server] of servers.entries()) {
        const { speed = [], cpu = [] } = results[index] ?? {};
        const range = `${Math.min(...speed).toFixed(2)}-${Math.max(...speed).toFixed(2)}`;
        process.stdout.write(
          `${clients} | ${server.name} | ${middle(speed).toFixed(2)} [${range}] | ${middle(cpu).toFixed(2)} | ${peakMebibytes(server.pid).toFixed(0)}\n`,
        );
      }
    }
  } finally {
    for (const server of servers) server.stop();
  }
}

try {
  await measure();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
