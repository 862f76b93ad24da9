/**
 * As a program: requests to an appliance. Arguments: URL, password, kind (put, page, list, script), how many, how
 * many a second (0: as fast as they are answered), connections. Prints their rate and times in milliseconds as JSON.
 */
import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

const [url = '', password = '', kind = '', many = '0', pace = '0', width = '1'] = process.argv.slice(2);
const [count, rate, connections] = [Number(many), Number(pace), Number(width)];
const machines = 100_000;
const agent = new Agent({ keepAlive: true, maxSockets: connections });
const login = await fetch(`${url}/ui/login`, {
  method: 'POST',
  body: new URLSearchParams({ password }),
  redirect: 'manual',
});
const cookie = /^bty-token=[^;]+/.exec(login.headers.get('set-cookie') ?? '')?.[0] ?? '';
const macOf = (index: number) =>
  `02:00:00:${[16, 8, 0].map((shift) => ((index >> shift) & 255).toString(16).padStart(2, '0')).join(':')}`;

function ask(method: string, path: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { cookie, 'content-length': Buffer.byteLength(body) };
    const sent = request(`${url}${path}`, { method, agent, headers }, (response) => {
      response.resume();
      response.on('end', () => {
        if ((response.statusCode ?? 500) < 300) resolve();
        else reject(new Error(`${method} ${path} was answered with ${response.statusCode}`));
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function one(index: number): Promise<void> {
  const mac = macOf((index * 7919) % machines);
  switch (kind) {
    case 'put':
      return ask(
        'PUT',
        `/machines/${mac}`,
        JSON.stringify({ hostname: `host-${index}`, boot_policy: 'local' }),
      );
    case 'page':
      return ask('GET', `/machines?limit=100&after=${mac}`, '');
    case 'list':
      return ask('GET', '/machines', '');
    case 'script':
      return ask('GET', `/pxe/${mac}`, '');
    default:
      throw new Error(`there is no "${kind}"`);
  }
}

const times: number[] = [];
/** At a pace the first second is not measured: this program is compiled in it, and connects. */
const warming = rate;
const began = performance.now();
let next = 0;

async function timed(): Promise<void> {
  const index = next++;
  // A request that has to wait for a connection is late from the moment at which it was due.
  const due = rate === 0 ? performance.now() : began + (index * 1000) / rate;
  const early = due - performance.now();
  if (early > 0) await pause(early);
  await one(index);
  if (index < warming) return;
  times.push(performance.now() - due);
}

await Promise.all(
  Array.from({ length: connections }, async () => {
    while (next < count + warming) await timed();
  }),
);
const seconds = (performance.now() - began) / 1000;
times.sort((left, right) => left - right);
const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
process.stdout.write(
  `${JSON.stringify({ rate: (count + warming) / seconds, p50: at(0.5), p99: at(0.99) })}\n`,
);
agent.destroy();
