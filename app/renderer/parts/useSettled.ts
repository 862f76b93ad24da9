import { useEffect, useState } from 'react';

/** Milliseconds in which a person sees that something has changed. */
const glance = 800;

/**
 * False for a moment after `value` has changed by itself: a press that comes then was meant for what stood there
 * before. What the person changed counts at once.
 */
export function useSettled(value: string, byPerson: boolean): boolean {
  const [seen, setSeen] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSeen(value), byPerson ? 0 : glance);
    return () => clearTimeout(timer);
  }, [value, byPerson]);
  return byPerson || seen === value;
}
