/** Labels as a person writes them: one per line, `name=value`. Pure. */

const name = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/;
const most = 64;

export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => (value === '' ? key : `${key}=${value}`))
    .join('\n');
}

/** The labels in `text`; null when a line is none, or there are too many. */
export function labelsIn(text: string): Readonly<Record<string, string>> | null {
  const found: [string, string][] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const [key = '', ...rest] = line.split('=');
    const value = rest.join('=').trim();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are refused
    if (!name.test(key.trim()) || value.length > 255 || /[\u0000-\u001f]/.test(value)) return null;
    found.push([key.trim(), value]);
  }
  return found.length > most ? null : Object.fromEntries(found);
}
