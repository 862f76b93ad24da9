import type { FailureReport } from '../failure.ts';
import { failuresDe } from './toldde.ts';

/** A failure as it is told to a person. */
export interface ToldFailure {
  readonly message: string;
  readonly advice: string;
}

class Missing extends Error {}

/** `failure` in `language`; in English where that language has no words for it, or it lacks what they speak of. */
export function failureIn(
  language: string,
  failure: Pick<FailureReport, 'code' | 'message' | 'advice'> & Partial<Pick<FailureReport, 'details'>>,
): ToldFailure {
  const { code, message, advice, details = {} } = failure;
  const words = language === 'de' && Object.hasOwn(failuresDe, code) ? failuresDe[code] : undefined;
  if (!words) return { message, advice };
  const said = (name: string): string => {
    const value = Object.hasOwn(details, name) ? details[name] : undefined;
    if (Array.isArray(value) && value.length > 0) return value.map(String).join(', ');
    if (typeof value === 'number') return new Intl.NumberFormat(language).format(value);
    if (typeof value === 'string' && value !== '') return value;
    throw new Missing();
  };
  try {
    return { message: words[0](said), advice: words[1] };
  } catch (error) {
    if (error instanceof Missing) return { message, advice };
    throw error;
  }
}
