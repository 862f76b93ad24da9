import { useTranslation } from 'react-i18next';
import { Button } from '../../parts/Button.tsx';
import { Note } from '../../parts/Note.tsx';
import type { Refusal } from '../api.ts';
import { toldHere } from '../words.ts';

interface Props {
  readonly refusal: Refusal;
  readonly again?: () => void;
}

/** What was refused: sentence, advice, code, and a way to try again. */
export function Refused({ refusal, again }: Props) {
  const { t } = useTranslation();
  return (
    <Note kind="bad">
      <RefusalText refusal={refusal} />
      {again === undefined ? null : (
        <Button look="quiet" onPress={again}>
          {t('lab.trouble.again')}
        </Button>
      )}
    </Note>
  );
}

export function RefusalText({ refusal }: { readonly refusal: Refusal }) {
  const { t, i18n } = useTranslation();
  const unreachable = refusal.status === 0;
  const told = toldHere(i18n.language, refusal);
  const message = unreachable ? t('lab.link.unreachable') : told.message;
  const advice = unreachable ? t('lab.link.unreachableAdvice') : told.advice;
  return (
    <p>
      <strong>{message || t('lab.trouble.unknown', { status: refusal.status })}</strong> {advice}{' '}
      {refusal.code === null ? null : (
        <span className="code">{t('lab.trouble.code', { code: refusal.code })}</span>
      )}
    </p>
  );
}
