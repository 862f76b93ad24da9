/** News of the appliance as they happen; comes again by itself when the appliance does, and says so. */
import type { Event } from '../../../shared/contract/event.ts';
import type { Machine } from '../../../shared/contract/machine.ts';
import { ask, Refusal, whenLoggedOut } from './api.ts';
import { useLab } from './store.ts';

export interface AllNews {
  readonly machine: Machine | { readonly mac: string; readonly deleted: true };
  readonly event: Event;
  readonly job: unknown;
  readonly images: unknown;
  readonly lease: unknown;
  readonly 'boot-step': unknown;
  readonly notice: unknown;
  /** Nobody listened for a while and somebody does again: everything may be another. */
  readonly again: null;
}
export type NewsKind = keyof AllNews;

type Listener = (value: never) => void;
const listeners = new Map<NewsKind, Set<Listener>>();
const wireKinds = ['machine', 'event', 'job', 'images', 'lease', 'boot-step', 'notice'] as const;

/** Calls `listener` with every piece of news of `kind` until the returned function is called. */
export function listen<Kind extends NewsKind>(
  kind: Kind,
  listener: (value: AllNews[Kind]) => void,
): () => void {
  const found = listeners.get(kind) ?? new Set();
  listeners.set(kind, found);
  found.add(listener as Listener);
  return () => found.delete(listener as Listener);
}

function tell<Kind extends NewsKind>(kind: Kind, value: AllNews[Kind]): void {
  for (const listener of listeners.get(kind) ?? []) (listener as (value: AllNews[Kind]) => void)(value);
}

/** Milliseconds between two tries to reach an appliance that is gone. */
const pause = { first: 500, most: 5000 };
/** A stream says something every 15 s; one that is silent for so long is dead. */
const silence = 40_000;

/** Milliseconds that a page which nobody sees goes on listening: a browser has six connections to an appliance, not more. */
const unseen = 15_000;

let source: EventSource | null = null;
/** Somebody is logged in. */
let wanted = false;
/** News were missed since the pages were loaded. */
let behind = false;
let timer: ReturnType<typeof setTimeout> | undefined;
let watch: ReturnType<typeof setTimeout> | undefined;
let tries = 0;
let lastId = '';

/** Listens from now on, as long as the page is seen; to be called once somebody is logged in. */
export function connect(): void {
  wanted = true;
  drop();
  if (document.hidden) {
    behind = true;
    return;
  }
  const from = lastId === '' ? '' : `?last_event_id=${lastId}`;
  const stream = new EventSource(`/events/stream${from}`);
  source = stream;
  stream.onopen = () => {
    tries = 0;
    expect();
    const before = useLab.getState().link;
    useLab.setState({ link: 'live' });
    if (behind) void cameBack(before === 'lost');
    behind = false;
  };
  for (const kind of wireKinds) {
    stream.addEventListener(kind, (message: MessageEvent<string>) => {
      expect();
      if (message.lastEventId !== '') lastId = message.lastEventId;
      tell(kind, JSON.parse(message.data) as never);
    });
  }
  stream.onerror = () => void lost();
}

export function disconnect(): void {
  wanted = false;
  drop();
}

function drop(): void {
  clearTimeout(timer);
  clearTimeout(watch);
  if (source !== null) behind = true;
  source?.close();
  source = null;
}

let leaving: ReturnType<typeof setTimeout> | undefined;
document.addEventListener('visibilitychange', () => {
  clearTimeout(leaving);
  if (!wanted) return;
  if (document.hidden) leaving = setTimeout(drop, unseen);
  else if (source === null) connect();
});

/** Comments of the stream are not told to pages, so silence is only a reason to look whether it missed something. */
function expect(): void {
  clearTimeout(watch);
  watch = setTimeout(() => {
    hasMissed().then(
      (missed) => (missed ? void lost() : expect()),
      () => void lost(),
    );
  }, silence);
}

/** True when there are events that the stream did not bring: its connection is dead, and nobody told either end. */
async function hasMissed(): Promise<boolean> {
  const { events } = await ask('GET /events', { query: { limit: 1 } });
  const newest = events[0]?.id ?? 0;
  if (lastId === '') lastId = String(newest);
  return newest > Number(lastId);
}

async function lost(): Promise<void> {
  drop();
  try {
    // A session that ended is told apart from an appliance that did.
    await ask('GET /access/who', { signal: AbortSignal.timeout(5000) });
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) return;
    useLab.setState({ link: 'lost' });
  }
  if (!wanted) return;
  clearTimeout(timer);
  timer = setTimeout(connect, Math.min(pause.most, pause.first * 2 ** tries++));
}

/** `told`: the pages said that it was gone. */
async function cameBack(told: boolean): Promise<void> {
  const { version } = await ask('GET /version').catch(() => ({ version: null }));
  const { version: mine, say } = useLab.getState();
  if (version !== null && mine !== null && version !== mine) useLab.setState({ newVersion: version });
  if (told) say('good', 'lab.link.back');
  tell('again', null);
}

/** Nobody is logged in any more: pages stay as they are under the form to log in. */
whenLoggedOut(() => {
  disconnect();
  useLab.setState({ session: 'out' });
});
