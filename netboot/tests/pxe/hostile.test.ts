/** Who lies to a machine or about it, and machines that are not what one would like. Part of `npm run test:pxe` only. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { EventView } from './appliance.ts';
import { kernelOf, makeBare } from './bare.ts';
import type { Guest, GuestDisk } from './guest.ts';
import { makeImage } from './image.ts';
import type { Reply } from './lab.ts';
import { builtLive } from './live.ts';
import { Rack } from './rack.ts';
import { agentStarts, noScene, Scene } from './scene.ts';

const execute = promisify(execFile);
const skip = noScene() || (process.env.BTY_PXE === 'all' ? false : 'npm run test:pxe runs it');
const timeout = 2_400_000;
const slowly = { writeRate: 2 << 20 };

describe('hostile surroundings', { skip }, () => {
  let scene: Scene;
  let rack: Rack;
  before(
    async () => {
      scene = await Scene.make({ dhcp: 'full', guests: 2 });
      rack = new Rack(scene);
    },
    { timeout },
  );
  after(() => scene?.close());
  const deployed = (guest: Guest, mac: string, disk: GuestDisk) => rack.deployed(guest, mac, disk);

  test(
    'a token that a stranger read on the wire opens nothing, from the stranger’s address or from the machine’s',
    {
      timeout,
    },
    () =>
      withStranger(scene, async (stranger) => {
        const wire = await scene.lab.start('wire', 'tcpdump', [
          ...['-i', 'br0', '-n', '-l', '-A', '-s', '0', '-Z', 'root', 'dst port 8080'],
        ]);
        let address = '';
        let machine = '';
        let heard: Heard | null = null;
        // So slow that the stranger is through with it long before the machine is.
        await rack.bound('victim', { disk: { writeRate: 1 << 20 }, tap: 1 }, async (guest, mac, disk) => {
          machine = mac;
          await rack.writing(mac, 4 << 20);
          heard = heardOn(await readFile(wire.log, 'latin1'), mac);
          address = String((await scene.appliance.machine(mac))?.last_seen_ip);
          const answers = await stranger.tries(1, [...attempts(mac, heard), `script GET /pxe/${mac}`]);
          for (const name of ['ticket', 'plan', 'done', 'status', 'progress', 'tokenless'])
            assert.match(answers.get(name) ?? '', /40[134]/, `${name}: ${answers.get(name)}`);
          assert.equal(answers.get('script'), 'accepted', 'a script is for everybody, and only says to wait');
          const now = await scene.appliance.machine(mac);
          assert.equal(now?.last_flashed_at, null, 'nobody calls the machine flashed before it is');
          await deployed(guest, mac, disk);
        });
        await wire.stop();
        assert.ok(heard);
        const takeOver = [`ip addr flush dev eth0`, `ip addr add ${address}/24 dev eth0`];
        const answers = await stranger.tries(2, attempts(machine, heard), takeOver);
        for (const name of ['ticket', 'plan', 'status', 'progress'])
          assert.match(answers.get(name) ?? '', /40[134]/, `${name}: ${answers.get(name)}`);
        const flashes = (await scene.appliance.events(machine)).filter(
          (each) => each.kind === 'machine.flashed',
        );
        assert.equal(flashes.length, 1);
      }),
  );

  test('an image that is damaged on the appliance after it was hashed: not deployed, told, and flashed when it is whole again', {
    timeout,
  }, async () => {
    // So large that most of it is still on the appliance when the machine has begun to write.
    const image = await scene.add('rot', 128);
    await rack.bound(
      'rotten',
      { disk: { ...slowly, bytes: image.bytes }, sha256: image.sha256 },
      async (guest, mac, disk) => {
        await rack.writing(mac, 4 << 20);
        await flip(join(scene.appliance.images, image.name));
        await guest.sees(/FAILED: /, 300, 'the first failure');
        const failures = await givenUp(scene, mac);
        process.stderr.write(`rotten: ${failures.map(({ summary }) => summary).join('\n        ')}\n`);
        assert.ok(failures.length >= 2, 'another try might have mended it');
        const machine = await scene.reaches(mac, 'failed');
        const { failure } = machine.state as { failure: { code: string } };
        assert.match(failure.code, /^(IMAGE_CORRUPT|SOURCE_CHANGED|SOURCE_HTTP_STATUS)$/);
        assert.equal(machine.last_flashed_at, null);
        await rack.startsBlank(disk);
        await scene.toldFailure(mac, '(preparing|writing)', /./);
        await scene.appliance.upload(`${image.path}.zst`, image.name, image.sha256);
        await scene.appliance.bind(mac, {
          image_sha256: image.sha256,
          boot_policy: 'flash-once',
          target_disk_serial: disk.serial,
        });
        await guest.sees(/Done: rot\.img\.zst is on/, 300, 'flashed');
        await guest.sees(/BTY-MARKER rot/, 150, 'the flashed system');
        await scene.reaches(mac, 'deployed');
        await scene.holdsImage(disk, image);
        await scene.told(mac, 1, ['plan=flash', 'failed', 'plan=flash', 'verify', 'done'], 'done');
      },
    );
  });

  test('of two disks the one with the serial number is written and the other one is not', {
    timeout,
  }, async () => {
    const other = scene.disk('left', { bus: 'ahci' });
    await writeFile(other.file, Buffer.alloc(scene.image.bytes, 0xa5));
    const before = await stat(other.file);
    // By UEFI, whose loader looks for a system on every disk: SeaBIOS starts the first disk or none.
    const machine = { firmware: 'uefi', others: [other], disk: { bus: 'ahci' } } as const;
    await rack.bound('right', machine, async (guest, mac, disk) => {
      await deployed(guest, mac, disk);
      const content = await readFile(other.file);
      assert.equal(content.length, before.size);
      assert.ok(content.equals(Buffer.alloc(before.size, 0xa5)), 'the other disk is as it was');
    });
  });

  test(
    'a network card that lacks its firmware is named on the console and to the appliance',
    {
      timeout,
    },
    () =>
      // The only device of QEMU whose driver wants a file that no free package has.
      rack.bound(
        'card',
        { policy: 'inventory', more: ['-device', 'i82551,mac=52:54:00:78:ff:01,romfile='] },
        async (guest, mac) => {
          await guest.sees(agentStarts, 300, 'the agent');
          const [told] = await guest.sees(/The device \S+ .*lacks its firmware \S+/, 120, 'told');
          assert.match(told, /\(driver e100\).*e100\/d102e_ucode\.bin/);
          const reply = await inventoryOf(scene, mac);
          assert.match(reply.body, /lacks its firmware e100\/d102e_ucode\.bin/);
          const { nics } = (
            JSON.parse(reply.body) as { inventory: { nics: { driver: string; mac: string }[] } }
          ).inventory;
          assert.ok(nics.some(({ driver, mac: own }) => driver === 'e100' && own === '52:54:00:78:ff:01'));
        },
      ),
  );

  test('an image of 1.2 GB that unpacks through a window of 128 MB, on a machine with 512 MB', {
    timeout,
  }, async () => {
    const image = await makeImage(join(scene.lab.folder, 'large.img'), 'BTY-MARKER one', 1200);
    const stored = `${image.path}.zst`;
    await execute('zstd', ['-q', '-f', '-3', '--long=27', '-T2', image.path, '-o', stored]);
    const sha256 = createHash('sha256')
      .update(await readFile(stored))
      .digest('hex');
    await scene.appliance.upload(stored, 'large.img.zst', sha256);
    const disk = { bytes: image.bytes };
    await rack.bound('large', { disk, sha256, megabytes: 512 }, async (guest, mac, own) => {
      await guest.sees(/Done: \S+ is on/, 600, 'flashed');
      await guest.sees(/BTY-MARKER one/, 200, 'the flashed system');
      await scene.reaches(mac, 'deployed');
      await scene.holdsImage(own, image);
    });
  });
});

interface Heard {
  readonly token: string;
  readonly errand: string;
  readonly plan: string;
}

/** What anybody can read on the wire of a network without TLS. */
function heardOn(traffic: string, mac: string): Heard {
  const [, token] = /Authorization: Bearer (\S+)/i.exec(traffic) ?? [];
  const [, errand] =
    new RegExp(`GET /pxe/${mac.replaceAll(':', '-')}/ticket/(\\S+) HTTP`).exec(traffic) ?? [];
  const [, plan] = /"plan":"([\w-]+)"/.exec(traffic) ?? [];
  assert.ok(token && errand && plan, 'the wire shows ticket, token and plan');
  return { token, errand, plan };
}

/** Lines of: name, method, path, body. */
function attempts(mac: string, { token, errand, plan }: Heard): string[] {
  const bearer = `--header "Authorization: Bearer ${token}"`;
  const status = JSON.stringify({
    ...{ status: 'done', plan, attempt: 1, image_sha256: '0'.repeat(64), image_bytes: 1, verified: true },
    disk: { path: '/dev/vda', serial: null, size_bytes: 1 },
    ...{ seconds: {}, after: 'reboot', notices: [] },
  });
  const progress = JSON.stringify({
    ...{ plan, attempt: 1, step: 'writing', bytes: 1, total: 1, rate: null, disk: null },
  });
  const json = `--header "Content-Type: application/json"`;
  return [
    `ticket GET /pxe/${mac}/ticket/${errand}`,
    `plan GET /pxe/${mac}/plan ${bearer}`,
    `done POST /pxe/${mac}/done ${bearer} --post-data ''`,
    `tokenless POST /pxe/${mac}/done --post-data ''`,
    `status POST /pxe/${mac}/status ${bearer} ${json} --post-data '${status}'`,
    `progress POST /pxe/${mac}/progress ${bearer} ${json} --post-data '${progress}'`,
  ];
}

interface Stranger {
  /** Lets it run `first`, then try each line; resolves what became of each, by name. */
  tries(
    round: number,
    lines: readonly string[],
    first?: readonly string[],
  ): Promise<ReadonlyMap<string, string>>;
}

/** Runs `use` beside a machine of somebody else on the same network, which does what it finds under a name. */
async function withStranger(scene: Scene, use: (stranger: Stranger) => Promise<void>): Promise<void> {
  const live = await builtLive();
  const initrd = join(scene.lab.folder, 'stranger.initrd');
  const server = scene.appliance.url;
  const script = `for round in 1 2; do
  until wget -q -O /tmp/deed ${server}/boot/deed$round; do sleep 1; done
  sh /tmp/deed
  echo "STRANGER over $round"
done
sleep 1000`;
  await makeBare(initrd, { live, script });
  const kernel = {
    path: await kernelOf(live, join(scene.lab.folder, 'stranger.kernel')),
    initrd,
    parameters: 'console=ttyS0 loglevel=3',
  };
  const mac = '52:54:00:78:ee:01';
  const common = { name: 'stranger', firmware: 'bios', mac, tap: 0, disks: [], kernel } as const;
  await scene.withGuest(common, async (guest) => {
    await use({
      async tries(round, lines, first = []) {
        const path = join(scene.lab.folder, `deed${round}`);
        const calls = lines.map((line) => {
          const [name, , path = '', ...rest] = line.split(' ');
          return `out=$(wget -q -O /dev/null ${rest.join(' ')} ${server}${path} 2>&1); echo "STRANGER ${name}: \${out:-accepted}"`;
        });
        await writeFile(path, [...first, ...calls, ''].join('\n'));
        const from = guest.console.length;
        const reply = await scene.appliance.ask('PUT', `/boot/deed${round}`, { upload: path });
        assert.equal(reply.status, 200, reply.body);
        await guest.sees(new RegExp(`STRANGER over ${round}`), 120, `round ${round}`);
        const said = guest.console.slice(from);
        return new Map(
          [...said.matchAll(/STRANGER (\w+): (.*)/g)].map(([, name = '', text = '']) => [name, text]),
        );
      },
    });
  });
}

/** The reply that has the machine's inventory, when it was told. */
async function inventoryOf(scene: Scene, mac: string): Promise<Reply> {
  for (let tries = 0; tries < 240; tries++) {
    const reply = await scene.appliance.ask('GET', `/machines/${mac}/inventory`);
    if (reply.status === 200) return reply;
    await pause(500);
  }
  throw new Error(`${mac} did not tell what it is made of`);
}

/** The events of all failed tries, when the machine has given up. */
async function givenUp(scene: Scene, mac: string): Promise<readonly EventView[]> {
  for (let tries = 0; tries < 2400; tries++) {
    const failures = (await scene.appliance.events(mac)).filter(({ kind }) => kind === 'machine.failed');
    if (failures.some(({ details }) => details?.again_in === null)) return failures;
    await pause(500);
  }
  throw new Error(`${mac} did not give up`);
}

/** Changes one bit near the end, as a disk that forgets does. */
async function flip(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, size - 5000);
    byte.writeUInt8(byte.readUInt8() ^ 0x10);
    await file.write(byte, 0, 1, size - 5000);
  } finally {
    await file.close();
  }
}
