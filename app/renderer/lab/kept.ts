/** What this browser keeps of the pages: little, and nothing that the appliance needs. */
const prefix = 'bty.';

/** What was kept under `name`; null when nothing was, or the browser keeps nothing. */
export function kept(name: string): string | null {
  try {
    return localStorage.getItem(prefix + name);
  } catch {
    return null;
  }
}

/** Keeps `value` under `name`; null forgets it. */
export function keep(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(prefix + name);
    else localStorage.setItem(prefix + name, value);
  } catch {
    // Private windows of some browsers keep nothing.
  }
}
