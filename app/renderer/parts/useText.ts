import { useTranslation } from 'react-i18next';
import { bytesText, dateText, durationText, percentText } from '../format.ts';

/** Words and numbers in the language of the window. */
export function useText() {
  const { t, i18n } = useTranslation();
  const { language } = i18n;
  return {
    t,
    i18n,
    bytes: (value: number) => bytesText(value, language),
    percent: (share: number) => percentText(share, language),
    duration: (seconds: number) => durationText(seconds, language),
    date: (at: number) => dateText(at, language),
  };
}
