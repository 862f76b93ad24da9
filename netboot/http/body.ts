/** Reading what a request carries: bounded in bytes and in time. */
import type { IncomingMessage } from 'node:http';
import { type Fault, Problem } from './problem.ts';

/** Most bytes of a JSON body or a form, unless an operation says otherwise. */
export const usualBytes = 1024 * 1024;
/** Longest time in which such a body must be here. */
const patience = 20_000;

/** The whole body. Longer than `most` bytes: 413. Slower than `patience`: 408. */
export function readBody(request: IncomingMessage, most: number): Promise<Buffer> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > most) return Promise.reject(tooLarge(most));
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    const end = (result: Buffer | Error) => {
      clearTimeout(timer);
      request.off('data', take).off('end', done).off('error', broken).off('close', closed);
      if (result instanceof Error) {
        request.pause();
        reject(result);
      } else resolve(result);
    };
    const timer = setTimeout(() => end(new Problem(408, 'the body took too long')), patience);
    const take = (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > most) end(tooLarge(most));
      else pieces.push(piece);
    };
    const done = () => end(Buffer.concat(pieces));
    const broken = () => end(new Problem(400, 'the body broke off'));
    const closed = () => end(new Problem(400, 'the body broke off'));
    request.on('data', take).on('end', done).on('error', broken).on('close', closed);
  });
}

function tooLarge(most: number): Problem {
  return new Problem(413, `the body is larger than ${most} bytes`);
}

/** Deepest nesting of a JSON body; deeper ones only serve to exhaust a stack. */
const depth = 64;

/** `bytes` as JSON; malformed JSON is a 422 in the form of the contract. */
export function parseJson(bytes: Buffer): unknown {
  const text = bytes.toString('utf8');
  const invalid = (error: string, position: number) => {
    const fault: Fault = {
      type: 'json_invalid',
      loc: ['body', position],
      msg: 'JSON decode error',
      input: {},
      ctx: { error },
    };
    return new Problem(422, [fault]);
  };
  let nested = 0;
  let deepest = 0;
  for (const letter of text) {
    if (letter === '{' || letter === '[') deepest = Math.max(deepest, ++nested);
    else if (letter === '}' || letter === ']') nested--;
  }
  if (deepest > depth) throw invalid('Nested too deeply', 0);
  try {
    // Half a surrogate pair can be spelled and cannot be kept: what is answered is what will be read again.
    return (halves.test(text) ? JSON.parse(text, wellFormed) : JSON.parse(text)) as unknown;
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    const position = Number(/position (\d+)/.exec(message)?.[1] ?? 0);
    throw invalid('Expecting value', position);
  }
}

const halves = /\\u[dD][89a-fA-F]/;

function wellFormed(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? value.toWellFormed() : value;
}

/** Fields of a form, the last of each name. */
export function parseForm(bytes: Buffer): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(bytes.toString('utf8')));
}
