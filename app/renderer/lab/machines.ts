/** The machines of the appliance, in this page: loaded page by page, and kept up with the news. */
import { useEffect, useSyncExternalStore } from 'react';
import type { Machine } from '../../../shared/contract/machine.ts';
import { askWhole, Refusal } from './api.ts';
import { listen } from './live.ts';

export interface Machines {
  readonly all: readonly Machine[];
  /** How many there are in all, null until that is known. */
  readonly total: number | null;
  readonly state: 'loading' | 'whole' | 'refused';
  readonly refusal: Refusal | null;
}

/** Rows of one question. */
const page = 1000;
/** Milliseconds in which changes are gathered before the table is drawn anew. */
const gather = 250;

const byMac = new Map<string, Machine>();
const listeners = new Set<() => void>();
let known: Machines = { all: [], total: null, state: 'loading', refusal: null };
let timer: ReturnType<typeof setTimeout> | undefined;
let users = 0;
let run = 0;
let ends: readonly (() => void)[] = [];

function draw(changes: Partial<Machines> = {}): void {
  clearTimeout(timer);
  timer = undefined;
  known = { ...known, all: [...byMac.values()], ...changes };
  for (const listener of listeners) listener();
}

function soon(): void {
  timer ??= setTimeout(() => draw({ total: known.state === 'whole' ? byMac.size : known.total }), gather);
}

async function load(): Promise<void> {
  const mine = ++run;
  const seen = new Set<string>();
  told.clear();
  draw({ state: known.state === 'whole' ? 'whole' : 'loading', refusal: null });
  let after: string | undefined;
  try {
    do {
      const query = { limit: page, ...(after === undefined ? {} : { after }) };
      const { value, headers } = await askWhole('GET /machines', { query });
      if (mine !== run) return;
      for (const machine of value) {
        seen.add(machine.mac);
        // News that came since the question are newer than what the question was answered with, or come again.
        if (!told.has(machine.mac)) byMac.set(machine.mac, machine);
      }
      after = value.length === page ? value.at(-1)?.mac : undefined;
      draw({ total: Number(headers.get('x-total-count') ?? value.length), refusal: null });
    } while (after !== undefined);
    for (const mac of byMac.keys()) if (!seen.has(mac) && !told.has(mac)) byMac.delete(mac);
    draw({ state: 'whole', total: byMac.size });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (mine === run) draw({ state: 'refused', refusal: error });
  }
}

/** Machines that news told of since the list was asked for, those that were deleted too. */
const told = new Set<string>();

function start(): void {
  ends = [
    listen('machine', (news) => {
      if ('deleted' in news) byMac.delete(news.mac);
      else byMac.set(news.mac, news);
      told.add(news.mac);
      soon();
    }),
    listen('again', () => void load()),
  ];
  void load();
}

/** Asks for all of them again, where that was refused. */
export function loadAgain(): void {
  void load();
}

/** All machines; they are followed as long as somebody looks. */
export function useMachines(): Machines {
  useEffect(() => {
    if (users++ === 0) start();
    return () => {
      if (--users > 0) return;
      run++;
      for (const end of ends) end();
      ends = [];
      known = { ...known, state: 'loading' };
    };
  }, []);
  return useSyncExternalStore(subscribe, () => known);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
