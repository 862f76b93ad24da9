/** Whether the pages wait for an answer, long enough that somebody wonders. */
import { useEffect, useState, useSyncExternalStore } from 'react';

let running = 0;
const listeners = new Set<() => void>();

function count(by: 1 | -1): void {
  running += by;
  for (const listener of listeners) listener();
}

/** Runs `question`, which is waited for. */
export async function waitedFor<Value>(question: () => Promise<Value>): Promise<Value> {
  count(1);
  try {
    return await question();
  } finally {
    count(-1);
  }
}

/** Milliseconds that nobody wonders about. */
const patience = 700;

export function useWaiting(): boolean {
  const waits = useSyncExternalStore(subscribe, () => running > 0);
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    if (!waits) return setLong(false);
    const timer = setTimeout(() => setLong(true), patience);
    return () => clearTimeout(timer);
  }, [waits]);
  return isLong;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
