import { useTranslation } from 'react-i18next';
import { failureIn } from '../../../shared/app/told.ts';
import type { FailureReport } from '../../../shared/failure.ts';

interface Props {
  readonly failure: Pick<FailureReport, 'code' | 'message' | 'advice'> &
    Partial<Pick<FailureReport, 'details'>>;
}

/** What went wrong, and what to try, in the language of the window. */
export function Failed({ failure }: Props) {
  const { i18n } = useTranslation();
  const { message, advice } = failureIn(i18n.language, failure);
  return (
    <>
      <strong>{message}</strong> {advice}
    </>
  );
}
