import './system/threadpool.ts';
import { constants } from 'node:os';
import { asFailure, ExitCode, failure } from '../shared/failure.ts';
import type { Command, CommandContext } from './cli/command.ts';
import type { CommandPath } from './cli/grammar.ts';
import { guardStreams, print, printError, warn, warnFailure } from './cli/output.ts';
import { type Invocation, parse } from './cli/parse.ts';
import { undecodable } from './cli/words.ts';
import { commandWords, isCalledTui } from './system/calledas.ts';

type Loaders = { readonly [Path in CommandPath]: () => Promise<Command<Path>> };

const loadInspect = async () => (await import('./cli/inspect.ts')).runInspect;

/** Every command's code is loaded only when it runs. */
const loaders: Loaders = {
  'list disks': async () => (await import('./cli/disks.ts')).runListDisks,
  'list images': async () => (await import('./cli/images.ts')).runListImages,
  'inspect image': loadInspect,
  'image info': loadInspect,
  flash: async () => (await import('./cli/flash.ts')).runFlash,
  'catalog validate': async () => (await import('./cli/catalog.ts')).runValidate,
  'catalog list': async () => (await import('./cli/catalog.ts')).runList,
  'catalog fetch': async () => (await import('./cli/catalog.ts')).runFetch,
  agent: async () => (await import('./live/command.ts')).runAgent,
  'bmap create': async () => (await import('./cli/bmap.ts')).runCreate,
  tui: async () => (await import('./tui/command.ts')).runTui,
  'tui-guard': async () => (await import('./tui/guard.ts')).runGuard,
  helper: async () => (await import('./helper/helper.ts')).runHelper,
};

const isTui = isCalledTui();
const isVersion = (word: string | undefined): boolean => word === '--version' || word === '-V';
/** Help and usage under the name that the program was called by. */
const asCalled = (text: string): string => (isTui ? text.replaceAll('bty tui', 'bty-tui') : text);

async function main(args: readonly string[]): Promise<ExitCode> {
  const unreadable = undecodable(args);
  if (unreadable !== null) {
    warn(
      `"${unreadable}" has bytes that are not UTF-8, and bty can open no file of such a name.`,
      'Rename the file, or give the image on standard input: bty flash --image - < FILE',
    );
    return ExitCode.misuse;
  }
  const parsed = isTui && isVersion(args[1]) ? ({ kind: 'version' } as const) : parse(args);
  switch (parsed.kind) {
    case 'version':
      print(`${isTui ? 'bty-tui' : 'bty'} ${(await import('./version.ts')).version}`);
      return ExitCode.ok;
    case 'help':
      print(asCalled((await import('./cli/help.ts')).help(parsed.words)));
      return ExitCode.ok;
    case 'misuse':
      printError(asCalled((await import('./cli/help.ts')).usage(parsed.words)));
      warn(
        parsed.problem,
        asCalled(`Run "${['bty', ...parsed.words].join(' ')} --help" to see what it takes.`),
      );
      return ExitCode.misuse;
    case 'run':
      return run(parsed);
  }
}

async function run(invocation: Invocation): Promise<ExitCode> {
  const context: CommandContext = { signal: cancelSignal(), environment: process.env };
  const command = (await loaders[invocation.path]()) as Command<CommandPath>;
  try {
    return await command(invocation.values as never, context);
  } catch (error) {
    const found = asFailure(error);
    // The sentence of CANCELLED speaks of a disk, and no other command writes to one.
    if (found.code === 'CANCELLED' && invocation.path !== 'flash') warn('Cancelled.');
    else warnFailure(found);
    if (found.code === 'INTERNAL') printStack(error);
    return found.exitCode;
  }
}

/** Aborts at the first signal that ends a process; a second one ends the process at once. */
function cancelSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(128 + constants.signals[name]);
      controller.abort(failure('CANCELLED', { untouched: true }));
    });
  }
  return controller.signal;
}

function printStack(error: unknown): void {
  if (process.env.BTY_DEBUG === '1' && error instanceof Error) printError(error.stack ?? String(error));
}

function stopAtFault(error: unknown): void {
  warnFailure(asFailure(error));
  printStack(error);
  process.exit(ExitCode.failed);
}

/** Milliseconds that a cancelled command has for its last words. */
const leave = 300;
guardStreams();
process.on('uncaughtException', stopAtFault);
main(commandWords()).then((code) => {
  process.exitCode ||= code;
  // Whoever cancels does not wait for a reader of standard output who does not read.
  if (code === ExitCode.cancelled) setTimeout(() => process.exit(), leave).unref();
}, stopAtFault);
