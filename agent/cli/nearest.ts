/** The name of `known` that `word` was likely meant to be, null when none is close. */
export function nearest(word: string, known: readonly string[]): string | null {
  // The distance costs the product of both lengths, and no name is that long.
  const asked = word.slice(0, 64);
  let best: { readonly name: string; readonly distance: number } | null = null;
  for (const name of known) {
    const extended = asked.replace(/^-+/, '').length >= 2 && name.startsWith(asked);
    const distance = extended ? 1 : editDistance(asked, name);
    const allowed = Math.max(1, Math.floor(name.replace(/^-+/, '').length / 3));
    if (distance <= allowed && (best === null || distance < best.distance)) best = { name, distance };
  }
  return best?.name ?? null;
}

/**
 * The fewest insertions, deletions, replacements and swaps of neighbours that turn `one` into `other` (optimal string
 * alignment).
 */
export function editDistance(one: string, other: string): number {
  let before: number[] = [];
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      const swaps = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      const swapped = swaps ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(replaced, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[other.length] ?? 0;
}
