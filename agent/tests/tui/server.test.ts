/** `bty-tui --server`: the images of a server, our own appliance among them, and the word that a machine was flashed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { inFolder, noLoops } from '../../disk/testing.ts';
import { lacks, looksBlank, MiB, makeImage, withOldDisk } from '../look.ts';
import { SlowServer } from './server.ts';
import { noTerminal, root, Window } from './window.ts';

const skip = noTerminal || noLoops || lacks('sfdisk', 'fdisk');
const mac = '52:54:00:00:00:09';
const size = 64 * MiB;

/** Runs `use` before a program that has the images of a slow server. */
async function withServer(
  use: (window: Window, server: SlowServer, disk: string, backing: string) => Promise<void>,
): Promise<void> {
  const server = await SlowServer.start(size);
  try {
    await withOldDisk({ size }, (disk) =>
      Window.with(
        { args: ['--allow-loop', '--server', server.address, '--mac', mac.toUpperCase()] },
        (window) => use(window, server, disk.path, disk.backing),
      ),
    );
  } finally {
    await server.close();
  }
}

test(
  'rates, time left and what limits are shown; verification is skipped by a key; the server is told',
  { skip },
  () =>
    withServer(async (window, server, disk, backing) => {
      await window.begin(/slow\.img/, disk);
      const shown = await window.sees(/MB of 67\.1 MB, .*\/s, \d+:\d\d left/);
      assert.match(shown, /DO NOT REMOVE THE DISK/);
      assert.match(shown, /limited by reading the image/);
      await window.press('v');
      await window.sees(/Verifying \(skipped\)/);
      server.pause = 0;
      const done = await window.sees(/== Written, not verified =+ 1 of 1 flashed, written, not verified/);
      assert.match(
        done.replace(/\s+/g, ' '),
        new RegExp(`The server http://127.* knows that ${mac} was flashed\\.`),
      );
      assert.deepEqual(server.told, [`/pxe/${mac}/done`]);
      assert.equal(Buffer.compare(await readFile(backing), server.image), 0);
    }),
);

test('a flash that is cancelled is told nowhere, and its disk looks blank', { skip }, () =>
  withServer(async (window, server, disk, backing) => {
    await window.begin(/slow\.img/, disk);
    await window.sees(/MB of 67\.1 MB/);
    await window.press('c');
    await window.sees(/Cancel\?/);
    await window.press('n');
    await window.sees(/c cancel/);
    await window.press('C-c', 'C-c');
    await window.sees(/== Cancelled/);
    looksBlank(await readFile(backing));
    assert.deepEqual(server.told, []);
    await window.press('q');
    await window.sees(/The flash was cancelled; the disk has no valid start[\s\S]*ended with 0/);
    await window.isWhole();
  }),
);

test(
  '"s" goes to another server; credentials in its address are sent to it and shown nowhere',
  { skip: noTerminal },
  () =>
    inFolder(async (folder) => {
      const server = await SlowServer.start(MiB);
      try {
        await Window.with({ args: ['--image-root', folder] }, async (window) => {
          await window.sees(/There is no image here/);
          await window.press('s');
          await window.type(server.address.replace('http://', 'http://me:pass%20word@'));
          await window.press('Enter');
          await window.sees(/slow\.img/);
          assert.match(await window.screen(), new RegExp(`1 Image from ${server.address} `));
          const expected = `Basic ${Buffer.from('me:pass word').toString('base64')}`;
          assert.ok(server.credentials.length > 0 && server.credentials.every((each) => each === expected));
          assert.doesNotMatch(await window.screen(), /pass/);
          await window.press('s', 'C-u');
          await window.type('ftp://x');
          await window.press('Enter');
          await window.sees(/A server is an http or https address, not "ftp:\/\/x"/);
          await window.press('C-u', 'Enter');
          await window.sees(/There is no image here/);
        });
      } finally {
        await server.close();
      }
    }),
);

test('a server that is away is told with advice, and found again by itself', {
  skip: noTerminal,
}, async () => {
  const first = await SlowServer.start(MiB);
  const { address } = first;
  await first.close();
  await Window.with({ args: ['--server', address] }, async (window) => {
    await window.sees(/The images cannot be listed/);
    assert.match((await window.screen()).replace(/\s+/g, ' '), /127\.0\.0\.1:\d+\/images/);
    const again = await SlowServer.start(MiB, Number(new URL(address).port));
    try {
      await window.sees(/slow\.img/);
    } finally {
      await again.close();
    }
  });
});

test('an image of our own appliance is listed, read and written', { skip }, () =>
  inFolder(async (folder) => {
    const image = await makeImage(join(folder, 'source'), 8 * MiB);
    const state = join(folder, 'state');
    await mkdir(join(state, 'images'), { recursive: true });
    await writeFile(join(state, 'images', 'disk.img.zst'), zstdCompressSync(image));
    const words = ['serve', '--state-dir', state, '--image-root', join(state, 'images')];
    const address = ['--web-host', '127.0.0.1', '--web-port', '0'];
    const program = join(root, 'netboot', 'main.ts');
    const appliance = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', program, ...words, ...address],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      let told = '';
      for await (const chunk of appliance.stdout.setEncoding('utf8')) {
        told += chunk as string;
        if (/password of the operator is/.test(told)) break;
      }
      const url = /http:\S+/.exec(told)?.[0] ?? assert.fail(told);
      await withOldDisk({ size: 16 * MiB }, (disk) =>
        Window.with({ args: ['--allow-loop', '--server', url] }, async (window) => {
          await window.begin(/disk\.img\.zst/, disk.path);
          await window.sees(/== Written and verified/);
          const content = await readFile(disk.backing);
          assert.equal(Buffer.compare(content.subarray(0, image.length), image), 0);
        }),
      );
    } finally {
      appliance.kill('SIGTERM');
      await once(appliance, 'exit');
    }
  }),
);
