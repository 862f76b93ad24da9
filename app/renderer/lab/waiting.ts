/** Whether the pages wait for an answer, long enough that somebody wonders. */
import { useEffect, useState } from 'react';
import { create } from 'zustand';

const useRunning = create(() => ({ count: 0 }));
const count = (by: 1 | -1) => useRunning.setState(({ count: before }) => ({ count: before + by }));

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
  const waits = useRunning(({ count }) => count > 0);
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    if (!waits) return setLong(false);
    const timer = setTimeout(() => setLong(true), patience);
    return () => clearTimeout(timer);
  }, [waits]);
  return isLong;
}
