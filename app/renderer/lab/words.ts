/** The words of the pages, in the language of the browser or the one that was chosen in it. */
import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';
import { type ToldFailure, toldWith, type Untold } from '../../../shared/app/sentence.ts';
import type { FailureWords } from '../../../shared/app/toldde.ts';
import { type Language, languageOf } from '../../../shared/app/words.ts';
import { shownText } from '../../../shared/lab/shown.ts';
import { en } from '../words/en.ts';
import { lab as labEn } from '../words/lab/en.ts';
import { keep, kept } from './kept.ts';

export type LanguageChoice = 'system' | Language;

export function languageChoice(): LanguageChoice {
  const found = kept('language');
  return found === 'en' || found === 'de' ? found : 'system';
}

export function languageHere(): Language {
  return languageOf(languageChoice(), navigator.language);
}

/** To be awaited before anything is drawn. */
export async function startLabWords(language: Language): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: 'en',
    fallbackLng: 'en',
    resources: { en: { translation: { ...en, lab: labEn } } },
    // React escapes what it draws; names that stand in sentences are spelled out where they would turn them.
    interpolation: { escapeValue: true, escape: shownText },
    showSupportNotice: false,
  } as Parameters<typeof i18next.init>[0]);
  await speakHere(language);
}

/** What failures are told in; nothing for English, in which they come. */
const failures: Partial<Record<string, FailureWords>> = {};

/** A failure in the language of the pages. */
export function toldHere(language: string, failure: Untold): ToldFailure {
  return toldWith(failures[language] ?? {}, language, failure);
}

async function speakHere(language: Language): Promise<void> {
  if (language === 'de' && !i18next.hasResourceBundle('de', 'translation')) {
    const [{ de }, { lab }, { failuresDe }] = await Promise.all([
      import('../words/de.ts'),
      import('../words/lab/de.ts'),
      import('../../../shared/app/toldde.ts'),
    ]);
    failures.de = failuresDe;
    i18next.addResourceBundle('de', 'translation', { ...de, lab });
  }
  if (i18next.language !== language) await i18next.changeLanguage(language);
  document.documentElement.lang = language;
}

export async function chooseLanguage(choice: LanguageChoice): Promise<void> {
  keep('language', choice === 'system' ? null : choice);
  await speakHere(languageHere());
}
