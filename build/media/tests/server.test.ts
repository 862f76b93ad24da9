/** The appliance's disk image in a virtual PC: set up on its console, at work, given a new system. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Guest } from '../../../netboot/tests/pxe/guest.ts';
import { Lab } from '../../../netboot/tests/pxe/lab.ts';
import { noScene } from '../../../netboot/tests/pxe/scene.ts';
import { sourceDate } from '../../release/version.ts';
import { run } from '../iso.ts';
import { type BuiltServer, buildServer, serverTools, stateSector } from '../server.ts';
import { missingTools } from '../tools.ts';
import { all, emptyDisk, inFolder, noStick, testImage } from './kit.ts';
import { diskDevice, PersonalMachine } from './machine.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const skip =
  noStick() ||
  noScene() ||
  missingTools(serverTools) ||
  (all ? false : 'npm run test:media boots the appliance');
/** Seconds for a stage on a machine that does other work, too. */
const patience = 900;
const password = 'correct-horse-7';
const address = '10.77.0.9';
const url = `http://${address}:8080`;

/** Writes a system over whatever the disk holds, as a flasher does: every byte of the image, none behind it. */
const flash = (built: BuiltServer, disk: string) =>
  run('dd', [`if=${built.image}`, `of=${disk}`, 'bs=4M', 'conv=notrunc', 'status=none']);

function buildIn(to: string): Promise<BuiltServer> {
  // What somebody commits between two builds does not count.
  process.env.SOURCE_DATE_EPOCH ??= String(sourceDate());
  const cache = join(root, '.cache', 'live');
  return buildServer({ to, cache, level: 1, refresh: false, say: () => {} });
}

let built: Promise<BuiltServer> | undefined;

/** The image, built once for all tests of this process, which write to copies of it. */
function builtOnce(): Promise<BuiltServer> {
  built ??= (async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bty-server-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    return buildIn(folder);
  })();
  return built;
}

test('two builds of the same commit are the same, byte for byte', { skip, timeout: 3_600_000 }, () =>
  inFolder(async (folder) => {
    const [one, two] = [await builtOnce(), await buildIn(folder)];
    assert.equal(await digestOf(two.image, 0, two.bytes), await digestOf(one.image, 0, one.bytes));
    assert.equal(two.sha256, one.sha256);
  }),
);

test(
  'is set up on its console, flashes another machine, and keeps its state under a new system',
  {
    skip,
    timeout: 5_400_000,
  },
  () =>
    inFolder(async (folder) => {
      const built = await builtOnce();
      const lab = await Lab.create(2);
      const start = (disk: string, firmware: 'bios' | 'uefi') => {
        const { program, args } = lab.command('', []);
        return PersonalMachine.start({
          folder,
          firmware,
          prefix: [program, ...args.filter((word) => word !== '')],
          devices: [
            ...diskDevice(disk, 'SYSTEM', 1),
            ...['-netdev', 'tap,id=n0,ifname=t0,script=no,downscript=no'],
            ...['-device', 'virtio-net-pci,netdev=n0,mac=52:54:00:77:08:01,romfile='],
          ],
        });
      };
      try {
        await lab.startRouter(false);
        const disk = await emptyDisk(join(folder, 'disk'), 9e9);
        await flash(built, disk);
        const image = await testImage(lab.folder, 'one.img');
        await writeFile(join(lab.folder, 'one.img.zst'), image.packed);
        let server = await start(disk, 'bios');
        try {
          const first = await setUp(server, lab);
          assert.notEqual(first, password);
          const client = new Client(lab);
          await client.login(password);
          await client.upload(join(lab.folder, 'one.img.zst'), image.sha256);
          await client.awaitLive();
          const mac = '52:54:00:77:08:02';
          await client.bind(mac, image.sha256);
          const target = {
            serial: 'TARGET',
            bus: 'virtio',
            file: join(lab.folder, 'target'),
            bytes: image.raw.length,
          } as const;
          const guest = await Guest.start({
            lab,
            name: 'guest',
            firmware: 'bios',
            mac,
            tap: 1,
            disks: [target],
          });
          try {
            await guest.sees(/BTY-MARKER one\.img/, 2 * patience);
          } finally {
            await guest.cutPower();
          }
          server.type('9\r');
          await server.ended(patience);
        } finally {
          await server.cutPower();
        }
        await holdsPartitions(disk);
        const state = await digestOf(disk, stateSector * 512, 9e9 - (1 << 20));

        await flash(built, disk);
        assert.equal(await digestOf(disk, stateSector * 512, 9e9 - (1 << 20)), state, 'the state is whole');
        server = await start(disk, 'uefi');
        try {
          await server.sees(/the state is on/, patience);
          // A password was set, so the console asks for it.
          await server.sees(/lab-server login:/, patience);
          const client = new Client(lab);
          await client.login(password);
          assert.match((await client.ask('GET', '/images')).body, new RegExp(image.sha256));
          assert.match(
            (await client.ask('GET', '/machines/52:54:00:77:08:02')).body,
            /"last_flashed_at":"20/,
          );
        } finally {
          await server.cutPower();
        }
      } finally {
        await lab.close();
      }
    }),
);

/** As sgdisk(8) reads them: the system got its room, the state the rest of the disk. */
async function holdsPartitions(disk: string): Promise<void> {
  assert.match(await run('sgdisk', ['--verify', disk]), /No problems found/);
  const ends = await Promise.all(
    ['3', '4'].map(async (number) => {
      const told = await run('sgdisk', [`--info=${number}`, disk]);
      const at = (what: string) => Number(new RegExp(`${what} sector: (\\d+)`).exec(told)?.[1]);
      return { name: /name: '(\w+)'/.exec(told)?.[1], first: at('First'), last: at('Last') };
    }),
  );
  const [system, state] = ends;
  assert.equal(system?.name, 'BTY_SYSTEM');
  assert.ok((system?.last ?? 0) > stateSector - 4096 && (system?.last ?? 0) < stateSector);
  assert.deepEqual([state?.name, state?.first], ['BTY_STATE', stateSector]);
  assert.ok((state?.last ?? 0) > 9e9 / 512 - 4096, `${state?.last}`);
}

/** SHA-256 of the bytes from `from` to `to` of a file. */
async function digestOf(path: string, from: number, to: number): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { start: from, end: to, highWaterMark: 1 << 22 }), hash);
  return hash.digest('hex');
}

/**
 * A person at the console sets name and address; in the pages, with the first password that the console tells, another
 * password and network boot, and takes it back; then password and network boot on the console. Resolves the first
 * password.
 */
async function setUp(server: PersonalMachine, lab: Lab): Promise<string> {
  const answer = async (dialog: readonly (readonly [question: RegExp, words: string])[]) => {
    for (const [question, words] of dialog) {
      await server.sees(question, patience);
      server.type(`${words}\r`);
    }
  };
  const choose = async (number: string, dialog: readonly (readonly [question: RegExp, answer: string])[]) => {
    await server.sees(/9 power off/, patience);
    await server.sees(/> /, 60);
    server.type(`${number}\r`);
    await answer(dialog);
  };
  const [, first = ''] = await server.sees(/The password of the operator is (\w+)/, patience);
  await choose('2', [[/Name: /, 'lab-server']]);
  await server.sees(/== bty appliance .* on lab-server/, patience);
  await server.sees(/Network boot: off/, patience);
  await choose('3', []);
  const [, name = ''] = await server.sees(/(en\w+) +\S+ +52:54:00:77:08:01/, patience);
  server.type(`${name}\r`);
  await answer([
    [/Address with prefix/, `${address}/24`],
    [/Router, or nothing: /, ''],
    [/Name server, or nothing: /, ''],
  ]);
  const pages = new Client(lab);
  await pages.login(first);
  await pages.setUp(first, name);
  await choose('6', []);
  await server.sees(new RegExp(`Network boot: proxy ${name}`), patience);
  await server.sees(/Security updates by themselves: off/, patience);
  await choose('1', [
    [/New password/, password],
    [/Again: /, password],
  ]);
  await server.sees(/The password of the web pages and of this console is set/, patience);
  await choose('4', [
    [/Mode \(off/, 'full'],
    [/Interface: /, name],
  ]);
  await server.sees(/Network boot: full en/, patience);
  return first;
}

/** A script that works with the appliance from another host of the lab. */
class Client {
  readonly #lab: Lab;
  readonly #jar: string;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#jar = join(lab.folder, `cookies-${process.hrtime.bigint()}`);
  }

  ask(
    method: string,
    path: string,
    more: { readonly body?: string; readonly upload?: string; readonly newJar?: string } = {},
  ) {
    return this.#lab.curl(method, `${url}${path}`, { jar: this.#jar, ...more });
  }

  async login(password: string): Promise<void> {
    const limit = performance.now() + patience * 1000;
    for (;;) {
      const login = { body: `password=${password}`, newJar: this.#jar };
      const reply = await this.ask('POST', '/ui/login', login).catch(() => null);
      if (reply?.status === 303) return;
      if (performance.now() > limit) throw new Error(`no login: ${reply?.status} ${reply?.body}`);
      await pause(500);
    }
  }

  /** What the set-up of the pages does. */
  async setUp(first: string, name: string): Promise<void> {
    const chosen = { current: first, password: 'chosen-in-the-pages' };
    const reply = await this.ask('PUT', '/access/password', { body: JSON.stringify(chosen) });
    assert.equal(reply.status, 204, reply.body);
    assert.equal((await this.ask('GET', '/settings')).status, 401, 'every session ended');
    await this.login(chosen.password);
    const settings = JSON.stringify({ interfaces: [{ interface: name, mode: 'proxy' }] });
    const boot = await this.ask('PUT', '/dhcp/settings', { body: settings });
    assert.equal(boot.status, 200, boot.body);
    assert.match((await this.ask('GET', '/dhcp')).body, /"mode":"proxy","problem":null/);
  }

  /** What the image brought for machines is put in place after the pages are there. */
  async awaitLive(): Promise<void> {
    const limit = performance.now() + patience * 1000;
    const file = `${url}/boot/bty-netboot-x86_64.initrd`;
    while (!(await this.#lab.run('curl', '-sfI', file).catch(() => null))) {
      assert.ok(performance.now() < limit, 'the live system is installed');
      await pause(1000);
    }
  }

  async upload(path: string, sha256: string): Promise<void> {
    const reply = await this.ask('PUT', '/images/one.img.zst', { upload: path });
    assert.equal(reply.status, 200, reply.body);
    for (let tries = 0; !(await this.ask('GET', '/images')).body.includes(sha256); tries++) {
      assert.ok(tries < 600, 'the image is hashed');
      await pause(500);
    }
  }

  async bind(mac: string, sha256: string): Promise<void> {
    const body = JSON.stringify({ image_sha256: sha256, boot_policy: 'flash-once' });
    const reply = await this.ask('PUT', `/machines/${mac}`, { body });
    assert.equal(reply.status, 200, reply.body);
  }
}
