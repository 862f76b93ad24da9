import { clockText } from '../format.ts';
import { useText } from './useText.ts';

/** The time of day of a moment, here, to the millisecond; its tooltip is exact. `at`: ISO 8601. */
export function Clock({ at }: { readonly at: string }) {
  const { i18n } = useText();
  const moment = Date.parse(at);
  return (
    <time className="step-time" dateTime={at} title={at}>
      {Number.isNaN(moment) ? at : clockText(moment, i18n.language)}
    </time>
  );
}
