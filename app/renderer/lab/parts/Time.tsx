import { useTranslation } from 'react-i18next';

const formats = new Map<string, Intl.DateTimeFormat>();
const styles = {
  full: { dateStyle: 'medium', timeStyle: 'medium' },
  short: { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' },
  clock: { timeStyle: 'medium' },
} as const satisfies Readonly<Record<string, Intl.DateTimeFormatOptions>>;

/** Formats are costly to make, and a table needs the same one in every row. */
function format(language: string, style: keyof typeof styles): Intl.DateTimeFormat {
  const key = `${language} ${style}`;
  const known = formats.get(key);
  if (known) return known;
  // The language of the pages says nothing of a country; that of the browser may.
  const local = navigator.languages.find((locale) => locale.startsWith(language)) ?? language;
  const made = new Intl.DateTimeFormat(local, styles[style]);
  formats.set(key, made);
  return made;
}

interface Props {
  /** ISO 8601, or milliseconds since 1970; null for never. */
  readonly at: string | number | null;
  readonly style?: keyof typeof styles;
  readonly otherwise?: string;
}

/** A moment in local time; its tooltip is exact. */
export function Time({ at, style = 'full', otherwise }: Props) {
  const { t, i18n } = useTranslation();
  return timeMark(at, style, otherwise ?? t('lab.common.never'), i18n.language);
}

/** The same, for what is drawn too often for a component of its own. */
export function timeMark(
  at: string | number | null,
  style: keyof typeof styles,
  otherwise: string,
  language: string,
) {
  if (at === null) return <span className="quiet">{otherwise}</span>;
  const moment = new Date(at);
  if (Number.isNaN(moment.getTime())) return <span>{at}</span>;
  const exact = moment.toISOString();
  return (
    <time dateTime={exact} title={exact}>
      {format(language, style).format(moment)}
    </time>
  );
}

/** A moment in local time, as text. */
export function timeText(at: string | number, language: string, style: keyof typeof styles = 'full'): string {
  const moment = new Date(at);
  return Number.isNaN(moment.getTime()) ? String(at) : format(language, style).format(moment);
}
