import { useSyncExternalStore } from 'react';

const narrow = matchMedia('(max-width: 720px)');

/** True where there is no room for tables: phones. The same width as in the styles. */
export function useNarrow(): boolean {
  return useSyncExternalStore(
    (listener) => {
      narrow.addEventListener('change', listener);
      return () => narrow.removeEventListener('change', listener);
    },
    () => narrow.matches,
  );
}
