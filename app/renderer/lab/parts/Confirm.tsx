import { type FormEvent, type ReactNode, useId, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from '../../parts/Button.tsx';
import { Field } from '../../parts/Field.tsx';
import { Note } from '../../parts/Note.tsx';
import { Sheet } from '../../parts/Sheet.tsx';
import { useLab } from '../store.ts';
import { RefusalText } from './Refused.tsx';

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

/** Asks before something is done; stays open while it is done, and when it was refused, which it says. */
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
  const form = useId();
  const [text, setText] = useState('');
  const [stage, setStage] = useState<'asking' | 'busy' | 'refused'>('asking');
  const trouble = useLab((state) => state.trouble);
  const ready = isReady && stage !== 'busy' && (typed === undefined || text.trim() === typed);
  const close = () => {
    // It was read here, and what it is about is taken back.
    if (stage === 'refused') useLab.setState({ trouble: null });
    onClose();
  };
  const run = async () => {
    setStage('busy');
    let done = false;
    try {
      done = await onAct();
    } finally {
      setStage(done ? 'asking' : 'refused');
    }
    if (done) onClose();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    // It may stand in another form as far as React sees it.
    event.stopPropagation();
    if (ready) void run();
  };
  return (
    <Sheet
      alert={danger}
      title={title}
      onClose={close}
      actions={
        <>
          <Button onPress={close}>{t('common.cancel')}</Button>
          <Button type="submit" form={form} look={danger ? 'danger' : 'primary'} isDisabled={!ready}>
            {act}
          </Button>
        </>
      }
    >
      <form id={form} className="form" onSubmit={submit}>
        {children}
        {typed === undefined ? null : (
          <Field
            label={t('lab.common.typeName', { name: typed })}
            value={text}
            onChange={setText}
            autoComplete="off"
          />
        )}
      </form>
      {stage === 'refused' && trouble !== null ? (
        <div role="alert">
          <Note kind="bad">
            <RefusalText refusal={trouble} />
          </Note>
        </div>
      ) : null}
    </Sheet>
  );
}
