import { type ToldFailure, toldWith, type Untold } from './sentence.ts';
import { failuresDe } from './toldde.ts';

export type { ToldFailure } from './sentence.ts';

/** `failure` in `language`; in English where that language has no words for it, or it lacks what they speak of. */
export function failureIn(language: string, failure: Untold): ToldFailure {
  return toldWith(language === 'de' ? failuresDe : {}, language, failure);
}
