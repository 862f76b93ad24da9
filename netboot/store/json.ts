/** `text` as a JSON object; null when it is none. For columns of rows that may be damaged, or of a strange backup. */
export function objectIn(text: unknown): object | null {
  const value = valueIn(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
}

/** `text` as JSON; undefined when it is none. */
export function valueIn(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return undefined;
  }
}
