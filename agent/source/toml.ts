import { parse, TomlError } from 'smol-toml';
import type { Checked } from '../../shared/descriptor.ts';

const longestProblem = 200;

/** Parses TOML that may be anything; the problem names the line. */
export function parseToml(bytes: Uint8Array): Checked<unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { kind: 'invalid', problem: 'it is not UTF-8 text' };
  }
  try {
    return { kind: 'valid', value: parse(text) };
  } catch (error) {
    return { kind: 'invalid', problem: problemOf(error) };
  }
}

function problemOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  // The parser quotes the line that it stumbled over, however long, below its first line.
  const [first = ''] = message.replace(/^Invalid TOML document: /, '').split('\n', 1);
  const brief = first.length > longestProblem ? `${first.slice(0, longestProblem)}\u2026` : first;
  return error instanceof TomlError ? `line ${error.line}: ${brief}` : brief;
}
