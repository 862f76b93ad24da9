import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from '../../parts/Button.tsx';
import { Field } from '../../parts/Field.tsx';
import { Sheet } from '../../parts/Sheet.tsx';

interface Props {
  readonly title: string;
  readonly children: ReactNode;
  /** What the button says. */
  readonly act: string;
  readonly danger?: boolean;
  /** What must be typed before, so that nobody destroys much by one wrong click. */
  readonly typed?: string;
  readonly isReady?: boolean;
  readonly onAct: () => Promise<boolean>;
  readonly onClose: () => void;
}

/** Asks before something is done; stays open while it is done, and when it was refused. */
export function Confirm({
  title,
  children,
  act,
  danger = false,
  typed,
  isReady = true,
  onAct,
  onClose,
}: Props) {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const ready = isReady && (typed === undefined || text.trim() === typed);
  const run = async () => {
    setBusy(true);
    const done = await onAct();
    setBusy(false);
    if (done) onClose();
  };
  return (
    <Sheet
      alert={danger}
      title={title}
      onClose={onClose}
      actions={
        <>
          <Button onPress={onClose}>{t('common.cancel')}</Button>
          <Button look={danger ? 'danger' : 'primary'} isDisabled={!ready || busy} onPress={() => void run()}>
            {act}
          </Button>
        </>
      }
    >
      {children}
      {typed === undefined ? null : (
        <Field
          label={t('lab.common.typeName', { name: typed })}
          value={text}
          onChange={setText}
          autoComplete="off"
        />
      )}
    </Sheet>
  );
}
