/** The machine registry and the scripts that machines ask for: rates and times of the appliance alone. */
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { changed } from '../../../netboot/machines/change.ts';
import { sqliteMachines } from '../../../netboot/machines/store.ts';
import { openDatabase } from '../../../netboot/store/database.ts';
import { noise } from '../../../netboot/testing/files.ts';
import { atLeast, atMost, finding, type Run, type Section } from '../finding.ts';
import { password, type Server, Stage, serverAddress } from './stage.ts';

const machines = 100_000;
const downloads = 16;
const program = join(import.meta.dirname, 'requests.ts');

const macOf = (index: number) =>
  `02:00:00:${[16, 8, 0].map((shift) => ((index >> shift) & 255).toString(16).padStart(2, '0')).join(':')}`;

function fill(state: string): void {
  const database = openDatabase(state);
  const store = sqliteMachines(database, { boots: 5, minutes: 30 }, Date.now);
  for (let from = 0; from < machines; from += 1000)
    database.writeNow(() => {
      for (let index = from; index < from + 1000; index++)
        store.put(changed(macOf(index), null, { hostname: `host-${index}` }, 'replace', Date.now()));
    });
  database.close();
}

/** What `requests.ts` tells of one kind of request. */
interface Asked {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
}

async function asked(
  stage: Stage,
  kind: string,
  count: number,
  rate: number,
  clients: number,
): Promise<Asked> {
  const text = await stage.run(0, process.execPath, [
    '--disable-warning=ExperimentalWarning',
    ...[
      program,
      `http://${serverAddress}:8080`,
      password,
      kind,
      String(count),
      String(rate),
      String(clients),
    ],
  ]);
  return JSON.parse(text.trim().split('\n').at(-1) ?? '{}') as Asked;
}

/** Clients that fetch the image again and again until they are ended. */
function crowd(stage: Stage): () => void {
  const url = `http://${serverAddress}:8080/images/bench.img`;
  const children = Array.from({ length: downloads }, () =>
    spawn(
      'ip',
      // A hundredth of a network card of 10 Gbit/s each, so that processors are left for the requests.
      [
        ...['netns', 'exec', stage.clients[0] ?? '', 'curl', '-s', '--limit-rate', '12M', '-o', '/dev/null'],
        url,
        url,
        url,
      ],
      { stdio: 'ignore' },
    ),
  );
  return () => {
    for (const child of children) child.kill('SIGTERM');
  };
}

async function scriptsInCrowd(stage: Stage): Promise<Asked> {
  const end = crowd(stage);
  try {
    // The start of that many programs is no part of their downloading.
    await asked(stage, 'script', 500, 500, 32);
    return await asked(stage, 'script', 3000, 500, 32);
  } finally {
    end();
  }
}

interface Measured {
  readonly idle: number;
  readonly put: number;
  readonly putCpu: number;
  readonly page: number;
  readonly list: number;
  readonly script: number;
  /** The same of a server that answers and does nothing else. */
  readonly bare: number;
  readonly loaded: number;
}

async function measured(): Promise<Measured> {
  const stage = await Stage.make();
  let server: Server | null = null;
  try {
    const state = join(stage.lab.folder, 'state');
    await mkdir(join(state, 'images'), { recursive: true });
    await writeFile(join(state, 'images', 'bench.img'), noise(256 * 2 ** 20, 3));
    const healthy = () =>
      stage.run(0, 'curl', ['-sf', `http://${serverAddress}:8080/healthz`]).then(() => true);
    server = await stage.appliance('off', healthy);
    await asked(stage, 'page', 20, 5, 1);
    const idle = server.resident() / 2 ** 20;
    await server.stop();
    fill(state);
    server = await stage.appliance('off', healthy);
    await asked(stage, 'put', 2000, 0, 16);
    const before = server.cpu();
    const put = await asked(stage, 'put', 6000, 0, 16);
    const putCpu = ((server.cpu() - before) / 6000) * 1000;
    await asked(stage, 'page', 50, 0, 1);
    const page = await asked(stage, 'page', 300, 0, 1);
    const list = await asked(stage, 'list', 5, 0, 1);
    await asked(stage, 'script', 500, 0, 4);
    const script = await scriptsInCrowd(stage);
    const loaded = server.resident() / 2 ** 20;
    await server.stop();
    const bareProgram = join(import.meta.dirname, 'bare.ts');
    const image = join(state, 'images', 'bench.img');
    server = await stage.serve('node:http', process.execPath, [bareProgram, serverAddress, image], healthy);
    const bare = await scriptsInCrowd(stage);
    return {
      ...{ idle, put: put.rate, putCpu, page: page.p50, list: list.p50 / 1000 },
      ...{ script: script.p99, bare: bare.p99, loaded },
    };
  } finally {
    await server?.stop();
    await stage.close();
  }
}

export async function benchRegistry({ rounds, say, signal }: Run): Promise<Section> {
  const all: Measured[] = [];
  for (let round = 0; round < rounds; round++) {
    signal.throwIfAborted();
    const found = await measured();
    say(
      `registry: ${found.put.toFixed(0)} PUT/s, list ${found.list.toFixed(2)} s, script p99 ${found.script.toFixed(1)} ms`,
    );
    all.push(found);
  }
  const of = (pick: keyof Measured) => all.map((one) => one[pick]);
  return {
    title: 'The registry',
    method,
    findings: [
      finding('PUT /machines/{mac} with its event', '/s', of('put'), atLeast(1500)),
      finding('processor time of one', 'ms', of('putCpu'), null),
      finding(`a page of 100 of ${machines} machines`, 'ms', of('page'), atMost(5)),
      finding(`all ${machines} machines`, 's', of('list'), atMost(0.5)),
      finding('/pxe/{mac} at 500/s while 16 clients download, 99 %', 'ms', of('script'), atMost(10), {
        name: 'node:http',
        values: of('bare'),
      }),
      finding('memory when idle', 'MiB', of('idle'), atMost(120)),
      finding('memory in that load', 'MiB', of('loaded'), atMost(250)),
    ],
  };
}

const method = `Made by \`npm run bench -- --only registry\`: requests over a cable between two namespaces, 16 connections for PUT, 1 for
pages and lists, 32 for scripts. Each PUT is on the disk before it is answered. The downloads have 12 MB/s each. Beside it a
server of Node.js that answers with one text and keeps nothing: what is left for the processors that all share.`;
