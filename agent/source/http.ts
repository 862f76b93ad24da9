import { nameOf, redacted } from '../../shared/address.ts';
import { failure } from '../../shared/failure.ts';
import { guessByName } from '../../shared/image.ts';
import { orAborted, pause } from './abort.ts';
import { once, readHead, replay } from './head.ts';
import { ConnectionLost } from './http-body.ts';
import { Origin, type Part, type Patience } from './http-origin.ts';
import { rangeReader } from './http-random.ts';
import { type Client, openClient } from './http-request.ts';
import { HttpStream } from './http-stream.ts';
import type { ImageSource, RandomReader } from './source.ts';

export interface HttpOptions extends Partial<Patience> {
  /** Ends the source: all reads reject with its reason. */
  readonly signal?: AbortSignal;
  /** Told what a person should know and nothing has to be done about, as whole sentences. */
  readonly onNotice?: (text: string) => void;
  /** Milliseconds from the start of a request to its answer. */
  readonly connectMilliseconds?: number;
  /** Holds HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */
  readonly environment?: NodeJS.ProcessEnv;
}

/** How long and how often an image's server is waited for, unless told otherwise. */
export const defaultPatience: Patience = {
  idleMilliseconds: 30_000,
  attempts: 8,
  backOffMilliseconds: (attempt) => Math.min(5000, 200 * 2 ** (attempt - 1)),
  longestWaitMilliseconds: 60_000,
};

/** Times that a server may ask to come later before it has delivered anything. */
const mostPostponements = 5;

/**
 * Asks for the image at an http or https `address`. A dropped transfer is resumed at the exact byte, where the
 * server serves Range requests and the image is still the same one. User name and password in the address are
 * sent to its host alone and shown nowhere. Rejects with SOURCE_UNREACHABLE, SOURCE_HTTP_STATUS or the signal's
 * reason.
 */
export async function httpSource(address: string, options: HttpOptions = {}): Promise<ImageSource> {
  const unreachable = (problem: string, cause?: unknown) =>
    failure('SOURCE_UNREACHABLE', { url: redacted(address), problem }, cause);
  const url = URL.parse(address);
  if (!url) throw unreachable('it is not a valid address');
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw unreachable('it is no http or https address');
  url.hash = '';

  const lifetime = new AbortController();
  const signal = options.signal ? AbortSignal.any([lifetime.signal, options.signal]) : lifetime.signal;
  const notice = options.onNotice ?? (() => {});
  const environment = options.environment ?? process.env;
  const patience = { ...defaultPatience, ...attemptsOf(environment), ...options };
  let client: Client;
  try {
    client = openClient(environment, options.connectMilliseconds ?? 30_000);
  } catch (error) {
    throw unreachable('the proxy settings in the environment are not usable', error);
  }
  const origin = new Origin(client, url, patience, notice);
  const end = (): void => {
    lifetime.abort(failure('INTERNAL', { problem: 'the source was closed' }));
    client.close();
  };
  try {
    const first = await firstPart(origin, signal);
    const random = await randomAccess(origin, signal);
    tellLimits(origin);
    return assemble(redacted(address), url, origin, first, random, signal, end);
  } catch (error) {
    end();
    if (error instanceof ConnectionLost) throw unreachable(error.message, error);
    throw error;
  }
}

/** Attempts by the environment: a live system waits longer for its appliance than a person for a server. */
function attemptsOf({ BTY_SOURCE_ATTEMPTS: text = '' }: NodeJS.ProcessEnv): Partial<Patience> {
  return /^[1-9]\d{0,5}$/.test(text) ? { attempts: Number(text) } : {};
}

/** The whole image's reply, of which nothing was read yet. Comes later when the server says so. */
async function firstPart(origin: Origin, signal: AbortSignal): Promise<Part> {
  for (let postponements = 0; ; postponements++) {
    try {
      return await origin.part(0, null, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ConnectionLost) || error.retryAfter === null) throw error;
      if (postponements === mostPostponements) throw error.cause ?? error;
      origin.notice(
        `The server asks to come again in ${Math.ceil(error.retryAfter / 1000)} seconds; waiting.`,
      );
      await pause(error.retryAfter, signal);
    }
  }
}

async function randomAccess(origin: Origin, signal: AbortSignal): Promise<RandomReader | null> {
  const { size } = origin;
  if (size === null) return null;
  // RFC 9110 section 14.2 lets a server ignore a Range that is the whole image, so a proper part is asked for.
  if (!origin.ranges && size > 1 && origin.announcesRanges) {
    try {
      const part = await origin.part(1, 2, signal);
      if (part.kind === 'part') part.body.discard();
    } catch {
      signal.throwIfAborted(); // else it is no proper Range support
    }
  }
  return origin.ranges ? rangeReader(origin, size, signal) : null;
}

function tellLimits(origin: Origin): void {
  if (!origin.ranges)
    origin.notice('The server has no Range support; a dropped connection cannot be resumed.');
  else if (origin.unversioned) {
    origin.notice('The server names no version of the image; only its size tells whether it changes.');
  }
}

function assemble(
  location: string,
  url: URL,
  origin: Origin,
  first: Part,
  random: RandomReader | null,
  signal: AbortSignal,
  end: () => void,
): ImageSource {
  const whole = { start: 0, end: null };
  const begun = new HttpStream(origin, whole, signal, first.kind === 'part' ? first : null);
  const head = once(() => readHead((room) => begun.read(room)));
  let opened = false;
  return {
    kind: 'http',
    location,
    name: bestName(url, origin.answered),
    size: origin.size,
    random,
    reopenable: true,
    head,
    async open(reading) {
      reading.throwIfAborted();
      if (opened) return new HttpStream(origin, whole, AbortSignal.any([signal, reading]));
      opened = true;
      const replayed = replay(head, begun);
      const stop = (): void => void begun.close();
      reading.addEventListener('abort', stop, { once: true });
      return {
        read: (into) => orAborted(replayed.read(into), reading),
        async close() {
          reading.removeEventListener('abort', stop);
          await replayed.close();
        },
      };
    },
    async close() {
      end();
    },
  };
}

/** The name in the address, or the one that it redirects to where only that tells a format. */
function bestName(asked: URL, answered: URL): string {
  const [first, last] = [nameOf(asked), nameOf(answered)];
  return guessByName(first) === null && guessByName(last) !== null ? last : first;
}
