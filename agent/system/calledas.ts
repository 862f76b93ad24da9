/** One program answers to two names; which one it was called by decides what its first word is. */
import { isSea } from 'node:sea';

/** The name in a path, without what follows a dot. */
const nameIn = (path: string): string => (path.split('/').at(-1) ?? '').replace(/\..*$/, '');

/** True when this process was started as `bty-tui`: a link to `bty`, or the checkout's entry file of that name. */
export function isCalledTui(
  argv0: string = process.argv0,
  argv: readonly string[] = process.argv,
  single: boolean = isSea(),
): boolean {
  const names = single ? [argv0, process.execPath] : [argv[1] ?? ''];
  return names.some((name) => nameIn(name) === 'bty-tui');
}

/** The words of the command line as `bty` would have got them. */
export function commandWords(): readonly string[] {
  const words = process.argv.slice(2);
  // The part of it that the program starts itself has the same name.
  return isCalledTui() && words[0] !== 'tui-guard' ? ['tui', ...words] : words;
}
