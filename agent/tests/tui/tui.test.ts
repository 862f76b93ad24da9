/** `bty-tui` as a person sees it: in a terminal, on loop devices, with images of a folder. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { inFolder, noLoops } from '../../disk/testing.ts';
import { isOld, lacks, MiB, makeImage, withOldDisk } from '../look.ts';
import { noTerminal, root, Window } from './window.ts';

const skip = noTerminal || noLoops || lacks('sfdisk', 'fdisk');

/** A folder with three images; the first is the one that is flashed. */
async function withImages(use: (folder: string, image: Buffer) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const image = await makeImage(join(folder, 'source'), 8 * MiB);
    await writeFile(join(folder, 'alpine.img.zst'), zstdCompressSync(image));
    await writeFile(join(folder, 'debian.img'), image);
    await writeFile(join(folder, 'zz-large.img'), Buffer.alloc(1));
    execFileSync('truncate', ['-s', '300G', join(folder, 'zz-large.img')]);
    await use(folder, image);
  });
}

const line = (shown: string, what: RegExp): string => shown.split('\n').find((each) => what.test(each)) ?? '';

test(
  'image, disk, review, write: the image is on the disk, read back, and the terminal is as it was',
  { skip },
  () =>
    withImages((folder, image) =>
      withOldDisk({ size: 16 * MiB }, (disk) =>
        Window.with({ args: ['--allow-loop', '--image-root', folder] }, async (window) => {
          await window.sees(/^> {2}alpine\.img\.zst {2,}img\.zst/m);
          await window.press('Enter');
          await window.sees(/Now pick the disk/);
          await window.toDisk(disk.path);
          await window.press('Enter');
          await window.sees(/\[ Flash! \]/);
          await window.press('Enter');
          const review = await window.sees(/== Write it\?/);
          assert.match(
            review.replaceAll('\n', ''),
            new RegExp(`Write alpine.img.zst \\([^)]*\\) to ${disk.path}`),
          );
          assert.match(review, /Unpacked {2,}8\.4 MB/);
          assert.ok(isOld(await readFile(disk.backing)), 'nothing was written by looking');
          await window.confirm();
          await window.sees(/== Written and verified =+ 1 of 1 flashed/);
          const content = await readFile(disk.backing);
          assert.equal(Buffer.compare(content.subarray(0, image.length), image), 0);
          await window.press('q');
          const after = await window.sees(/ended with 0/);
          assert.match(after, /Done\. Wrote ~8388608 bytes to \/dev\/loop\d+ \(read back and verified\)\./);
          await window.isWhole();
        }),
      ),
    ),
);

test('filter, unusable disks with their reasons, a disk that is too small, and the way back', { skip }, () =>
  withImages((folder) =>
    withOldDisk({ size: 16 * MiB, readOnly: true }, (disk) =>
      Window.with({ args: ['--allow-loop', '--image-root', folder] }, async (window) => {
        await window.sees(/ 3 ==$/m);
        await window.type('/LARGE');
        await window.sees(/Filter: LARGE_/);
        await window.sees(/1 of 3/);
        await window.press('Enter', 'Enter');
        await window.sees(/zz-large\.img is picked/);
        await window.toDisk(disk.path);
        const shown = await window.sees(/! /);
        assert.match(line(shown, new RegExp(`^>.. ?${disk.path}`)), /read-only/);
        assert.match(
          shown,
          new RegExp(`! ${disk.path} is read-only|! ${disk.path} is write-protected|! ${disk.path}`),
        );
        assert.match(shown, /0 of \d+ can be written/, 'nothing holds 300 GB');
        await window.press('Enter');
        const refused = await window.sees(new RegExp(`^ ${disk.path} `, 'm'));
        assert.doesNotMatch(refused, /\[ Flash! \]/);
        await window.press('Escape');
        await window.sees(/^-- 1 Image.* 3 --$/m);
        await window.press('Escape');
        await window.sees(/Pick an image to begin/);
      }),
    ),
  ),
);

test('the screen is drawn anew in any size, and the help names every key', { skip: noTerminal }, () =>
  withImages((folder) =>
    Window.with({ args: ['--image-root', folder] }, async (window) => {
      await window.sees(/debian\.img/);
      await window.resize(132, 43);
      await window.sees(/={60}/);
      const wide = await window.screen();
      assert.ok(wide.split('\n').some((each) => each.length > 120));
      await window.resize(40, 10);
      const small = await window.until('it is small', async () => {
        const shown = await window.screen();
        return shown.split('\n').every((each) => each.length <= 40) && /\? help/.test(shown) ? shown : null;
      });
      assert.match(small, /alpine\.img\.zst/);
      await window.resize(80, 24);
      await window.sees(/3 Write/);
      await window.press('?');
      const help = (await window.sees(/== Keys/)).replace(/\s+/g, ' ');
      for (const word of ['PgUp', 'filter', 'reboot', 'skip verification', 'Ctrl+L'])
        assert.ok(help.includes(word), word);
      await window.press('Escape', 'C-c');
      await window.sees(/ended with 0/);
      await window.isWhole();
    }),
  ),
);

test(
  'a serial console gets neither colour nor rendition nor Unicode, and tells its size when it is asked',
  { skip: noTerminal },
  () =>
    withImages(async (folder) => {
      await writeFile(join(folder, 'größe-日本.img'), 'x');
      const program = [
        process.execPath,
        '--disable-warning=ExperimentalWarning',
        join(root, 'agent', 'bty-tui.ts'),
      ];
      const unknown = ['sh', '-c', 'stty rows 0 columns 0; exec "$@"', 'sh', ...program];
      const command = [...unknown, '--plain', '--image-root', folder];
      await Window.with({ command, columns: 100, rows: 30 }, async (window) => {
        await window.sees(/gr\\u\{f6\}\\u\{df\}e-\\u\{65e5\}\\u\{672c\}\.img/);
        await window.sees(/^={2} 1 Image.{80,}--$|^={2} 1 Image.{80,}==$/m);
        await window.press('Down', 'Down', 'Tab', 'q');
        await window.sees(/ended with 0/);
        const sent = await window.sent();
        const esc = String.fromCharCode(27);
        const sequences = [...sent.matchAll(new RegExp(`${esc}(\\[[0-9;?]*[A-Za-z]|.)`, 'g'))].map(([each]) =>
          each.slice(1),
        );
        const kinds = [...new Set(sequences.map((each) => each.replace(/\d+(;\d+)?H$/, 'H')))].sort();
        const modes = ['[?1049h', '[?1049l', '[?25h', '[?25l', '[?7h', '[?7l'];
        assert.deepEqual(
          kinds.filter((each) => !modes.includes(each)),
          ['7', '8', '[0m', '[2J', '[6n', '[H', '[K'].filter((each) => kinds.includes(each)),
        );
        assert.ok(
          [...sent].every((character) => character.charCodeAt(0) < 0x7f),
          'only ASCII',
        );
      });
    }),
);

test(
  'without root it says that it is read-only, and does not flash',
  { skip: skip || lacks('setpriv', 'util-linux') },
  () =>
    withImages((folder) =>
      withOldDisk({ size: 16 * MiB }, async (disk) => {
        execFileSync('chmod', ['-R', 'a+rX', folder]);
        const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
        const program = [
          process.execPath,
          '--disable-warning=ExperimentalWarning',
          join(root, 'agent', 'bty-tui.ts'),
        ];
        const command = [...nobody, ...program, '--allow-loop', '--image-root', folder];
        await Window.with({ command }, async (window) => {
          const shown = await window.sees(/READ-ONLY: not root/);
          assert.match(shown, /Read-only mode \(not root\): nothing can be written/);
          await window.sees(/alpine/);
          await window.press('Enter');
          await window.toDisk(disk.path);
          await window.press('Enter', '3', 'f', 'Enter');
          await window.press('?');
          await window.sees(/== Keys/);
          assert.doesNotMatch(await window.screen(), /write now/);
          assert.ok(isOld(await readFile(disk.backing)));
          await window.press('Escape', 'q');
          await window.sees(/ended with 0/);
          await window.isWhole();
        });
      }),
    ),
);

test('it is called bty-tui in version, help and usage, and needs a terminal', () => {
  const run = (...args: readonly string[]) => {
    const words = ['--disable-warning=ExperimentalWarning', join(root, 'agent', 'bty-tui.ts'), ...args];
    try {
      const stdout = execFileSync(process.execPath, words, {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      return { status: 0, stdout, stderr: '' };
    } catch (error) {
      return error as { status: number; stdout: string; stderr: string };
    }
  };
  assert.match(run('--version').stdout, /^bty-tui \d+\.\d+\.\d+\n$/);
  assert.match(run('--help').stdout, /^usage: bty-tui \[-h\] \[--server URL\]/);
  const misused = run('--serve');
  assert.equal(misused.status, 2);
  assert.match(misused.stderr, /usage: bty-tui [\s\S]*did you mean "--server"\?/);
  assert.deepEqual(
    [run('--server', 'ftp://h').status, run('--server', 'http://h', '--mac', 'x').status],
    [2, 2],
  );
  const piped = run();
  assert.equal(piped.status, 2);
  assert.match(piped.stderr, /needs a terminal on standard input and output; scripts call "bty flash"/);
});
