import { useTranslation } from 'react-i18next';
import { Button } from '../../parts/Button.tsx';
import { Note } from '../../parts/Note.tsx';
import type { Refusal } from '../api.ts';

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
  const { t } = useTranslation();
  const unreachable = refusal.status === 0;
  const message = unreachable ? t('lab.link.unreachable') : refusal.message;
  const advice = unreachable ? t('lab.link.unreachableAdvice') : refusal.advice;
  return (
    <p>
      <strong>{message || t('lab.trouble.unknown', { status: refusal.status })}</strong> {advice}{' '}
      {refusal.code === null ? null : (
        <span className="code">{t('lab.trouble.code', { code: refusal.code })}</span>
      )}
    </p>
  );
}
