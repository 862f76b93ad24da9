/** Words of the command line that Node.js cannot give as they are. */
import { readFileSync } from 'node:fs';

/**
 * The first of `args` that is no UTF-8 on the real command line, as far as it can be shown; null when there is none.
 * File names of Linux are bytes, and Node.js has put U+FFFD where they are no text: no such file would be found.
 */
export function undecodable(args: readonly string[], commandLine = ownCommandLine): string | null {
  if (!args.some((arg) => arg.includes('\ufffd'))) return null;
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (const word of split(commandLine())) {
    try {
      decoder.decode(word);
    } catch {
      return word.toString('utf8');
    }
  }
  return null;
}

/** proc_pid_cmdline(5): words, each ended by a zero byte. */
function ownCommandLine(): Buffer {
  try {
    return readFileSync('/proc/self/cmdline');
  } catch {
    return Buffer.alloc(0);
  }
}

function* split(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0, start);
    const stop = end === -1 ? bytes.length : end;
    yield bytes.subarray(start, stop);
    start = stop + 1;
  }
}
