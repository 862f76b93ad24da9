/** However the program ends, the terminal is whole afterwards. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { inFolder, noLoops } from '../../disk/testing.ts';
import { looksBlank, MiB, withOldDisk } from '../look.ts';
import { SlowServer } from './server.ts';
import { noTerminal, Window } from './window.ts';

const skip = noTerminal;

async function withProgram(
  use: (window: Window, pid: number) => Promise<void>,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  await inFolder((folder) =>
    Window.with({ args: ['--image-root', folder], environment }, async (window) => {
      await window.sees(/There is no image here/);
      assert.equal(await window.ask('#{alternate_on} #{cursor_flag}'), '1 0', 'it has taken the terminal');
      await use(window, await window.pid());
    }),
  );
}

for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const)
  test(`${signal} ends it with 130, and the terminal is whole`, { skip }, () =>
    withProgram(async (window, pid) => {
      process.kill(pid, signal);
      await window.sees(/ended with 130/);
      await window.isWhole();
    }),
  );

test('SIGKILL ends it in the middle of a drawing, and the terminal is whole all the same', { skip }, () =>
  withProgram(async (window, pid) => {
    await window.press('s');
    await window.sees(/Where are the images/);
    process.kill(pid, 'SIGKILL');
    // The shell may tell it on the screen that is taken away then.
    await window.until('it ended with 137', async () =>
      (await window.sent()).includes('ended with 137') ? true : null,
    );
    await window.isWhole();
  }),
);

test('a fault of its own is told on the terminal, which is whole', { skip }, () =>
  inFolder(async (folder) => {
    const fault = join(folder, 'fault.mjs');
    await writeFile(fault, "process.on('SIGUSR2', () => { throw new Error('made for the test'); });");
    const environment = { NODE_OPTIONS: `--import=${pathToFileURL(fault)}` };
    await withProgram(async (window, pid) => {
      const [guard = ''] = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ');
      assert.match(await readFile(`/proc/${guard}/cmdline`, 'utf8'), /tui-guard/);
      process.kill(pid, 'SIGUSR2');
      const shown = await window.sees(/ended with 1$/m);
      assert.match(shown, /bty met a fault of its own: made for the test/);
      await window.isWhole();
      // What watches over the terminal leaves it alone then.
      await window.until('its guard has gone', () =>
        readFile(`/proc/${guard}/stat`, 'utf8').then(
          () => null,
          () => true,
        ),
      );
      assert.match(await window.screen(), /bty met a fault of its own/);
    }, environment);
  }),
);

test('stopped and continued, it has the terminal again and draws everything', { skip }, () =>
  withProgram(async (window, pid) => {
    process.kill(pid, 'SIGSTOP');
    process.kill(pid, 'SIGCONT');
    await window.press('?');
    await window.sees(/== Keys/);
    await window.press('Escape');
    await window.sees(/There is no image here/);
    await window.press('q');
    await window.sees(/ended with 0/);
    await window.isWhole();
  }),
);

test(
  'SIGTERM in the middle of a flash cancels it: the disk looks blank, the server is told nothing, the terminal is whole',
  { skip: skip || noLoops },
  () =>
    withOldDisk({ size: 64 * MiB }, async (disk) => {
      const server = await SlowServer.start(64 * MiB);
      try {
        const args = ['--allow-loop', '--server', server.address, '--mac', '52:54:00:00:00:09'];
        await Window.with({ args }, async (window) => {
          await window.begin(/slow\.img/, disk.path);
          await window.sees(/\[>\] Writing/);
          await server.sent(4 * MiB);
          process.kill(await window.pid(), 'SIGTERM');
          await window.sees(/ended with 130/);
          await window.isWhole();
        });
        looksBlank(await readFile(disk.backing));
        assert.deepEqual(server.told, []);
      } finally {
        await server.close();
      }
    }),
);
