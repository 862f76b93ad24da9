import type { FailureReport } from '../failure.ts';
import type { FailureWords } from './toldde.ts';

/** A failure as it is told to a person. */
export interface ToldFailure {
  readonly message: string;
  readonly advice: string;
}

/** A failure as it came; its code may be one that only a newer program knows. */
export type Untold = Pick<FailureReport, 'message' | 'advice'> &
  Partial<Pick<FailureReport, 'details'>> & { readonly code: string | null };

class Missing extends Error {}

/** `failure` in `words`; as it is where they have none for it, or it lacks what they speak of. */
export function toldWith(words: FailureWords, language: string, failure: Untold): ToldFailure {
  const { code, message, advice, details = {} } = failure;
  const found = code !== null && Object.hasOwn(words, code) ? words[code as keyof FailureWords] : undefined;
  if (!found) return { message, advice };
  const said = (name: string): string => {
    const value = Object.hasOwn(details, name) ? details[name] : undefined;
    if (Array.isArray(value) && value.length > 0) return value.map(String).join(', ');
    if (typeof value === 'number') return new Intl.NumberFormat(language).format(value);
    if (typeof value === 'string' && value !== '') return value;
    throw new Missing();
  };
  try {
    return { message: found[0](said), advice: found[1] };
  } catch (error) {
    if (error instanceof Missing) return { message, advice };
    throw error;
  }
}
