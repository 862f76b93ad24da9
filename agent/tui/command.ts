import { execFile } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { promisify } from 'node:util';
import { asFailure, ExitCode, failure } from '../../shared/failure.ts';
import type { FlashState } from '../../shared/flash/advance.ts';
import { normalMac } from '../../shared/machine/mac.ts';
import type { Command } from '../cli/command.ts';
import { doneSentence } from '../cli/flashresult.ts';
import type { Values } from '../cli/grammar.ts';
import { print, warn } from '../cli/output.ts';
import { Appliance } from '../live/appliance.ts';
import { version } from '../version.ts';
import { Guard, savedModes } from './guard.ts';
import { type Follower, Session } from './session.ts';
import type { Setting, Source } from './state.ts';
import { lookOf, ownTerminal } from './terminal.ts';
import { serverAt } from './where.ts';

/** `bty tui`, `bty-tui` (bty-contract section 2). */
export const runTui: Command<'tui'> = async (values, { environment, signal }) => {
  const folder = values.imageRoot ?? (environment.BTY_IMAGE_ROOT || '/var/lib/bty/images');
  const source = sourceOf(values, folder);
  const follower = followerOf(values, source, signal);
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw failure('USAGE', {
      problem: 'bty-tui needs a terminal on standard input and output; scripts call "bty flash".',
    });
  if (environment.TERM === 'dumb')
    throw failure('USAGE', {
      problem: 'This terminal says that it cannot place the cursor (TERM=dumb); "bty flash" needs no screen.',
    });
  const isRoot = process.getuid?.() === 0;
  const setting: Setting = {
    version,
    readOnly: isRoot
      ? null
      : 'Read-only mode (not root): nothing can be written. Start it with sudo to write.',
    live: false,
    folder,
    title: null,
  };
  const modes = savedModes();
  const terminal = ownTerminal(lookOf(environment, ttyName(), values.plain));
  const { allowLoop } = values;
  const session = new Session({
    terminals: [terminal],
    setting,
    source,
    allowLoop,
    follower,
    signal,
    leave: (how) => leave(how),
  });
  const guard = new Guard(modes);
  // Before the message of the fault, which would else stand on the screen that is taken away.
  const giveBack = () => {
    session.stopNow();
    // It would clear what is told now.
    guard.release();
  };
  process.prependListener('uncaughtException', giveBack);
  process.on('exit', giveBack);
  const goOn = () => session.renew();
  process.on('SIGCONT', goOn);
  try {
    const ending = await session.run();
    if (session.result !== null) tell(session.result);
    return ending.kind === 'ended' ? ExitCode.cancelled : ExitCode.ok;
  } finally {
    guard.release();
    process.off('SIGCONT', goOn);
    process.off('exit', giveBack);
    process.off('uncaughtException', giveBack);
  }
};

function sourceOf({ server }: Values<'tui'>, folder: string): Source {
  if (server === undefined) return { kind: 'folder', path: folder };
  const found = serverAt(server);
  if (found.kind === 'invalid') throw failure('USAGE', { problem: found.problem });
  return found.source;
}

/** Device of the terminal, empty where it is not known. */
function ttyName(): string {
  try {
    return readlinkSync('/proc/self/fd/1');
  } catch {
    return '';
  }
}

/** Tells the server of a machine that was flashed with one of its images, when both are known. */
function followerOf({ mac: given, server }: Values<'tui'>, source: Source, signal: AbortSignal): Follower {
  const mac = given === undefined ? null : normalMac(given);
  if (given !== undefined && mac === null)
    throw failure('USAGE', {
      problem: `"${given}" is no MAC address (six pairs of digits, as 52:54:00:12:34:56).`,
    });
  let remote = false;
  return {
    began(image) {
      remote = /^https?:/i.test(image.location);
    },
    moved() {},
    async ended({ outcome }, _failure, show) {
      if (server === undefined || source.kind !== 'server' || mac === null || !remote || outcome !== 'done')
        return [];
      show('Telling the server ...');
      const appliance = new Appliance({ server: source.address, mac, token: null, onTrouble() {} });
      try {
        await appliance.post(`/pxe/${mac}/done`, {}, { signal, forMilliseconds: 10_000 });
        return [`The server ${source.shown} knows that ${mac} was flashed.`];
      } catch (error) {
        return [`The server was not told that ${mac} was flashed: ${asFailure(error).message}`];
      } finally {
        appliance.close();
      }
    },
  };
}

/** What stays on the screen from before: the result of the last flash. */
function tell(flash: FlashState): void {
  for (const { target, result } of flash.targets) {
    if (result?.outcome === 'done') print(doneSentence(target, result));
    else if (result?.failure) warn(result.failure.message, result.failure.advice);
  }
}

async function leave(how: 'reboot' | 'power-off'): Promise<void> {
  const verb = how === 'reboot' ? 'reboot' : 'poweroff';
  try {
    await promisify(execFile)('systemctl', [verb], { timeout: 5000 });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const problem = (stderr?.trim() || message).split('\n').at(-1) ?? '';
    throw failure('TOOL_FAILED', { tool: 'systemctl', purpose: `${verb} this machine`, problem }, error);
  }
}
