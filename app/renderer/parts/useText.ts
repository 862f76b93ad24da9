import { useTranslation } from 'react-i18next';
import { bytesText, countText, dateText, percentText } from '../format.ts';

/** Words and numbers in the language of the window. */
export function useText() {
  const { t, i18n } = useTranslation();
  const { language } = i18n;
  return {
    t,
    bytes: (value: number) => bytesText(value, language),
    percent: (share: number) => percentText(share, language),
    count: (value: number) => countText(value, language),
    date: (at: number) => dateText(at, language),
  };
}
