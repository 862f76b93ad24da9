/** A terminal with somebody in front of it: tmux, its keys and its screen. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);
export const root = join(import.meta.dirname, '..', '..', '..');
const program = join(root, 'agent', 'bty-tui.ts');

/** Why there is no terminal here, false where there is one. */
export const noTerminal: string | false =
  spawnSync('tmux', ['-V']).status === 0 && spawnSync('stty', ['--version']).status === 0
    ? false
    : 'needs tmux and stty';

/** Milliseconds within which something must come to the screen, also on a busy machine. */
const patience = 180_000;

export interface WindowOptions {
  /** Words of `bty-tui`, unless `command` says something else. */
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  readonly columns?: number;
  readonly rows?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Notes the modes of the terminal, runs the words after it, tells their end, and stays. */
const foreground = 'stty -g >"$0/before"; "$@"; echo "ended with $?"; exec cat';

export class Window {
  readonly #folder: string;
  readonly #socket: string;

  /** Runs `use` with a terminal in which the program was started. */
  static async with(options: WindowOptions, use: (window: Window) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'bty-tui-'));
    const window = new Window(folder);
    try {
      await window.#start(options);
      await use(window);
    } catch (error) {
      const shown = await window.screen().catch(() => '');
      const sent = await window.sent().catch(() => '');
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(`${what}\n--- screen\n${shown}\n--- sent last\n${JSON.stringify(sent.slice(-2000))}`);
    } finally {
      await window.#tmux('kill-server').catch(() => {});
      await rm(folder, { recursive: true, force: true });
    }
  }

  private constructor(folder: string) {
    this.#folder = folder;
    this.#socket = join(folder, 'socket');
  }

  async #start({
    args = [],
    command,
    columns = 80,
    rows = 24,
    environment = {},
  }: WindowOptions): Promise<void> {
    const words = command ?? [process.execPath, '--disable-warning=ExperimentalWarning', program, ...args];
    const variables = Object.entries({ LC_ALL: 'C', ...environment }).flatMap(([name, value]) => [
      '-e',
      `${name}=${value}`,
    ]);
    const size = ['-x', `${columns}`, '-y', `${rows}`];
    // A shell of our own: tmux gives it the modes of a new terminal, and everything it sends is kept.
    await this.#tmux('-f', '/dev/null', 'new-session', '-d', ...size, ...variables, 'exec cat');
    await this.#tmux('set-option', '-g', 'remain-on-exit', 'on');
    await this.#tmux('pipe-pane', '-o', `exec cat >${join(this.#folder, 'sent')}`);
    const shell = ['sh', '-c', foreground, this.#folder, ...words];
    await this.#tmux('respawn-pane', '-k', ...variables, '-c', this.#folder, ...shell);
  }

  async #tmux(...words: readonly string[]): Promise<string> {
    const { stdout } = await execute('tmux', ['-S', this.#socket, ...words]);
    return stdout;
  }

  /** Presses keys by their tmux names (`Down`, `Enter`, `C-c`), one after another. */
  async press(...keys: readonly string[]): Promise<void> {
    await this.#tmux('send-keys', ...keys);
  }

  async type(text: string): Promise<void> {
    await this.#tmux('send-keys', '-l', text);
  }

  screen(): Promise<string> {
    return this.#tmux('capture-pane', '-p');
  }

  /** Resolves what the screen shows when it fits. */
  async sees(what: RegExp): Promise<string> {
    return this.until(`the screen shows ${what}`, async () => {
      const shown = await this.screen();
      return what.test(shown) ? shown : null;
    });
  }

  /** Asks again and again until there is an answer. */
  async until<Found>(what: string, ask: () => Promise<Found | null>): Promise<Found> {
    const limit = performance.now() + patience;
    for (;;) {
      const found = await ask();
      if (found !== null) return found;
      assert.ok(performance.now() < limit, `within ${patience} ms: ${what}`);
      await pause(50);
    }
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux('resize-window', '-x', `${columns}`, '-y', `${rows}`);
  }

  /** A format of tmux(1), filled in. */
  async ask(format: string): Promise<string> {
    return (await this.#tmux('display-message', '-p', format)).trim();
  }

  /** Process of the program: the child of the shell. */
  async pid(): Promise<number> {
    const shell = await this.ask('#{pane_pid}');
    const children = await readFile(`/proc/${shell}/task/${shell}/children`, 'utf8');
    const pid = Number(children.trim().split(' ')[0]);
    // 0 would name the processes of the test itself.
    assert.ok(pid > 0, 'the program runs');
    return pid;
  }

  /** Everything that was sent to the terminal. */
  async sent(): Promise<string> {
    return (await readFile(join(this.#folder, 'sent'))).toString('latin1');
  }

  /** Moves the cursor onto the disk at `path`: from the top to the bottom, and from the top again. */
  async toDisk(path: string): Promise<void> {
    const row = new RegExp(`^>.. ?${path} `, 'm');
    const cursor = (shown: string) => /^>.. ?\/dev\/\S+/m.exec(shown)?.[0];
    await this.press('2', 'Home');
    await this.until(`the cursor is on ${path}`, async () => {
      const before = await this.screen();
      if (row.test(before)) return true;
      await this.press('Down');
      if (!(await this.#moves(before, cursor))) await this.press('Home');
      return null;
    });
  }

  /** Whether what `of` finds on the screen becomes another one within a second: a screen follows its keys later. */
  async #moves(before: string, of: (shown: string) => string | undefined): Promise<boolean> {
    for (let looks = 0; looks < 20; looks++) {
      if (of(await this.screen()) !== of(before)) return true;
      await pause(50);
    }
    return false;
  }

  /** Picks the first image, when `image` is on the screen, and the disk at `path`, and writes. */
  async begin(image: RegExp, path: string): Promise<void> {
    await this.sees(image);
    await this.press('Enter');
    await this.sees(/Now pick the disk/);
    await this.toDisk(path);
    await this.press('Enter');
    await this.sees(/\[ Flash! \]/);
    await this.press('Enter');
    await this.sees(/== Write it\?/);
    await this.confirm();
  }

  /**
   * Presses Enter until the question whether to write is answered. A key that comes too soon is not taken, and one that
   * is pressed again too soon is for what comes after.
   */
  async confirm(): Promise<void> {
    await this.until('it was begun', async () => {
      await pause(500);
      await this.press('Enter');
      for (let looks = 0; looks < 40; looks++) {
        if (!/Write it\?/.test(await this.screen())) return true;
        await pause(50);
      }
      return null;
    });
  }

  /** Asserts that modes, cursor, wrapping and screen are those from before the program. */
  async isWhole(): Promise<void> {
    const before = (await readFile(join(this.#folder, 'before'), 'utf8')).trim();
    const device = await this.ask('#{pane_tty}');
    await this.until('the terminal has its modes back', async () => {
      const { stdout } = await execute('stty', ['-F', device, '-g']);
      const flags = await this.ask('#{alternate_on} #{cursor_flag} #{wrap_flag}');
      return stdout.trim() === before && flags === '0 1 1' ? true : null;
    });
  }
}
