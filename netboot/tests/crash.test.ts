/** The appliance is killed in the middle of things, or its disk is full: nothing half-written is ever served. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { noise, sha256, until } from '../testing/files.ts';
import { startSource } from '../testing/source.ts';
import { startTestAppliance, temporaryDirectory, testPassword } from '../testing.ts';

const run = promisify(execFile);

interface Program {
  readonly child: ChildProcess;
  readonly url: string;
  readonly cookie: string;
  readonly kill: () => Promise<void>;
}

/** `bty-web` as a process of its own. */
async function start(context: TestContext, stateDir: string): Promise<Program> {
  const main = join(import.meta.dirname, '..', 'main.ts');
  const flags = ['--state-dir', stateDir, '--web-host', '127.0.0.1', '--web-port', '0'];
  const env = { ...process.env, BTY_ADMIN_PASSWORD: testPassword };
  const child = spawn(process.execPath, [main, ...flags], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let told = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (piece) => (told += String(piece)));
  const over = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await over;
  };
  context.after(kill);
  const port = await until(`bty-web listens (${told})`, () => {
    if (child.exitCode !== null) throw new Error(`bty-web ended: ${told}`);
    return /"port":(\d+)/.exec(told)?.[1] ?? /127\.0\.0\.1:(\d+)/.exec(told)?.[1];
  });
  const url = `http://127.0.0.1:${port}`;
  const body = new URLSearchParams({ password: testPassword });
  const answer = await fetch(`${url}/ui/login`, { method: 'POST', body, redirect: 'manual' });
  const cookie = /^bty-token=[^;]+/.exec(answer.headers.get('set-cookie') ?? '')?.[0] ?? '';
  return { child, url, cookie, kill };
}

const ask = (program: Program, path: string, init: RequestInit = {}) =>
  fetch(`${program.url}${path}`, { ...init, headers: { ...init.headers, cookie: program.cookie } });
const listed = async (program: Program) =>
  (await (await ask(program, '/images')).json()) as { name: string; sha256: string; size_bytes: number }[];

test('a kill in the middle of uploads loses nothing that was acknowledged and serves nothing half', async (context) => {
  const stateDir = temporaryDirectory(context);
  const root = join(stateDir, 'images');
  const acknowledged = new Map<string, string>();
  const sent = new Map<string, Set<string>>();
  for (let round = 0; round < 3; round++) {
    const program = await start(context, stateDir);
    // One that never ends, and many that do.
    const socket = connect(Number(new URL(program.url).port), '127.0.0.1');
    socket.on('error', () => {});
    const head = `PUT /images/half.img HTTP/1.1\r\nHost: x\r\nCookie: ${program.cookie}\r\nContent-Length: 900000000\r\n\r\n`;
    socket.write(head);
    socket.write(noise(3_000_000));
    const upload = async (name: string, seed: number): Promise<void> => {
      const bytes = noise(400_000 + seed * 1000, seed);
      const digests = sent.get(name) ?? new Set();
      sent.set(name, digests.add(sha256(bytes)));
      const answer = await ask(program, `/images/${name}`, { method: 'PUT', body: new Uint8Array(bytes) });
      if (answer.ok) acknowledged.set(name, sha256(bytes));
      await answer.text();
    };
    let stopped = false;
    const lanes = [0, 1].map(async (lane) => {
      for (let turn = 0; !stopped; turn++)
        await upload(`${lane}-${turn % 3}.img`, round * 1000 + lane * 500 + turn).catch(() => {});
    });
    const before = acknowledged.size;
    await until('some are acknowledged and one is half here', async () => {
      const names = await readdir(root).catch(() => []);
      return (
        acknowledged.size >= Math.min(6, before + 2) && names.some((name) => name.startsWith('.upload-'))
      );
    });
    await program.kill();
    stopped = true;
    socket.destroy();
    await Promise.all(lanes);
  }
  const program = await start(context, stateDir);
  const rows = await until('all are listed again', async () => {
    const found = await listed(program);
    return found.length >= acknowledged.size ? found : false;
  });
  assert.ok(!rows.some(({ name }) => name === 'half.img'));
  for (const { name, sha256: digest } of rows) {
    assert.ok(sent.get(name)?.has(digest), `${name} is one of those that were sent`);
    const bytes = new Uint8Array(await (await ask(program, `/images/${digest}`)).arrayBuffer());
    assert.equal(sha256(bytes), digest);
  }
  for (const name of acknowledged.keys())
    assert.ok(
      rows.some((row) => row.name === name),
      name,
    );
  assert.deepEqual(
    (await readdir(root)).filter((name) => name.startsWith('.')),
    [],
  );
});

test('a kill in the middle of a download serves nothing half, and the next start goes on with it', async (context) => {
  const stateDir = temporaryDirectory(context);
  const source = await startSource(context);
  const bytes = noise(8_000_000);
  source.files.set('/a.img', { bytes, gate: new Promise(() => {}) });
  const manifest = `version = 1\n[[images]]\nname = "a.img"\nsrc = "${source.url}/a.img"\nsha256 = "${sha256(bytes)}"\n`;
  await writeFile(join(stateDir, 'catalog.toml'), manifest);
  const first = await start(context, stateDir);
  const answer = await ask(first, '/catalog/downloads', { method: 'POST', body: '{"name":"a.img"}' });
  assert.equal(answer.status, 202);
  const reader = fetch(`${first.url}/images/${sha256(bytes)}`).then((response) => response.arrayBuffer());
  reader.catch(() => {});
  const cache = join(stateDir, 'cache');
  await until('half of it is here', async () => {
    const { downloads } = (await (await ask(first, '/catalog/downloads')).json()) as {
      downloads: { bytes_downloaded: number }[];
    };
    return (downloads[0]?.bytes_downloaded ?? 0) >= 4_000_000;
  });
  await first.kill();
  await assert.rejects(reader);
  assert.ok(!existsSync(join(cache, sha256(bytes))));
  source.files.set('/a.img', { bytes });
  const second = await start(context, stateDir);
  const body = new Uint8Array(await (await fetch(`${second.url}/images/${sha256(bytes)}`)).arrayBuffer());
  assert.equal(sha256(body), sha256(bytes));
  const ranges = source.asked.map(({ range }) => Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0));
  assert.ok((ranges.at(-1) ?? 0) >= 3_000_000, `asked for ${ranges.join()}`);
  assert.deepEqual(await readdir(cache), [sha256(bytes)]);
});

const mounts =
  process.getuid?.() === 0 && existsSync('/sbin/losetup') ? false : 'needs root and loop devices';

test('a full disk refuses what does not fit and keeps what is there', { skip: mounts }, async (context) => {
  const folder = temporaryDirectory(context);
  const store = join(folder, 'store');
  const backing = join(folder, 'backing');
  await mkdir(store);
  const file = await open(backing, 'w');
  await file.truncate(96 * 1024 * 1024);
  await file.close();
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', backing]);
  await run('mount', ['-o', 'loop', backing, store]);
  try {
    await fillUp(context, store);
  } finally {
    await run('umount', ['-l', store]);
  }
});

async function fillUp(context: TestContext, store: string): Promise<void> {
  const config = { imageRoot: join(store, 'images'), catalogCacheDir: join(store, 'cache') };
  const appliance = await startTestAppliance(context, { config });
  const source = await startSource(context);
  const put = (name: string, body: RequestInit['body']) =>
    appliance.askAdmin(`/images/${name}`, { method: 'PUT', body, duplex: 'half' } as RequestInit);
  const small = noise(5_000_000);
  assert.equal((await put('small.img', new Uint8Array(small))).status, 200);
  const refused = await put('large.img', new Uint8Array(90_000_000));
  assert.equal(refused.status, 507);
  assert.match(
    ((await refused.json()) as { detail: string }).detail,
    /bytes .* free, and 90000000 bytes .* are needed/,
  );
  // Without a length nobody knows it before the disk is full.
  const endless = () => {
    let left = 200;
    return new ReadableStream({
      pull: (controller) => {
        if (left-- === 0) controller.close();
        else controller.enqueue(new Uint8Array(1_000_000).fill(left));
      },
    });
  };
  const status = await put('endless.img', endless()).then(
    (response) => response.status,
    // The answer may be lost when the connection is cut while the body still comes.
    () => 507,
  );
  assert.equal(status, 507);
  await until('what came of it is gone', async () => (await readdir(config.imageRoot)).length === 2);
  const large = Buffer.alloc(120_000_000, 7);
  source.files.set('/told.img', { bytes: large });
  source.files.set('/untold.img', { bytes: large, chunked: true });
  for (const name of ['told', 'untold']) {
    const image_url = `${source.url}/${name}.img`;
    const added = { method: 'POST', body: JSON.stringify({ image_url }) };
    assert.equal((await appliance.askAdmin('/catalog/entries', added)).status, 201);
    const wanted = { method: 'POST', body: JSON.stringify({ name: `${name}.img` }) };
    assert.equal((await appliance.askAdmin('/catalog/downloads', wanted)).status, 202);
    const job = await until(`${name} is given up`, () => {
      const found = appliance.services.images.jobs.get('download', `${name}.img`);
      return found?.status === 'failed' ? found : false;
    });
    assert.match(job.error ?? '', /free, and .* needed/);
  }
  assert.deepEqual(await readdir(config.catalogCacheDir), []);
  const kept = new Uint8Array(await (await appliance.ask(`/images/${sha256(small)}`)).arrayBuffer());
  assert.equal(sha256(kept), sha256(small));
  await rm(join(config.imageRoot, 'small.img'));
  assert.equal((await put('other.img', new Uint8Array(small))).status, 200);
  await appliance.close();
}
