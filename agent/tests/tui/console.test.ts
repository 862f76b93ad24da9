/** The consoles of the live system: opened by their paths, several at once, by a process that they do not control. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { inFolder } from '../../disk/testing.ts';
import { Session } from '../../tui/session.ts';
import { terminalAt } from '../../tui/terminal.ts';
import { noTerminal, Window } from './window.ts';

/** A terminal in which nothing reads. */
const idle = ['sleep', '600'];

test(
  'two consoles show the same and are both typed on; a display has colours, a serial line does not',
  { skip: noTerminal },
  (context) =>
    inFolder((folder) =>
      Window.with({ command: idle }, (display) =>
        Window.with({ command: idle, columns: 100, rows: 30 }, async (serial) => {
          await writeFile(join(folder, 'alpine.img'), 'x');
          const [one, other] = await Promise.all([display, serial].map((each) => each.ask('#{pane_tty}')));
          const end = new AbortController();
          const session = new Session({
            terminals: [
              terminalAt(one ?? '', { charset: 'ascii', renditions: 'colour' }),
              terminalAt(other ?? '', { charset: 'ascii', renditions: 'none' }),
            ],
            setting: { version: '0', readOnly: null, live: true, folder, title: 'box' },
            source: { kind: 'folder', path: folder },
            allowLoop: false,
            follower: { began() {}, moved() {}, ended: async () => [] },
            leave: async () => {},
            signal: end.signal,
          });
          const ending = session.run();
          ending.catch(() => {});
          context.after(() => end.abort(new Error('the test is over')));
          await display.sees(/^> {2}alpine\.img/m);
          await serial.sees(/^> {2}alpine\.img/m);
          await serial.press('?');
          await display.sees(/== Keys/);
          await display.press('Escape');
          await serial.sees(/Pick an image to begin/);
          await serial.resize(60, 20);
          await serial.until('the serial line is narrower', async () => {
            const shown = await serial.screen();
            return /^== 1 Image.{50}$/m.test(shown) ? true : null;
          });
          await display.press('R');
          await serial.sees(/Reboot this machine now\?/);
          await serial.press('y');
          assert.deepEqual(await ending, { kind: 'left', how: 'reboot' });
          const colours = /\[1;36m/;
          assert.match(await display.sent(), colours);
          assert.doesNotMatch(await serial.sent(), colours);
          await display.isWhole();
          await serial.isWhole();
        }),
      ),
    ),
);
