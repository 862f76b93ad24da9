import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { askAgain, attempt, putAnswer, useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { Confirm } from './parts/Confirm.tsx';
import { Card } from './parts/Page.tsx';
import { Pick } from './parts/Pick.tsx';
import { Time } from './parts/Time.tsx';
import { useLab } from './store.ts';

/** How long events are kept, and a way to change it. */
export function RetentionCard() {
  const { t } = useTranslation();
  const { value } = useAnswer('retention', () => ask('GET /settings/retention'), ['event']);
  const [changing, setChanging] = useState(false);
  return (
    <Card
      title={t('lab.keeping.retention')}
      actions={
        <Button isDisabled={value === undefined} onPress={() => setChanging(true)}>
          {t('lab.keeping.change')}
        </Button>
      }
    >
      {value === undefined ? null : (
        <>
          <p>
            {value.days === 0 ? t('lab.keeping.forEver') : t('lab.keeping.days', { count: value.days })}{' '}
            {value.oldest_at === null ? null : (
              <span className="quiet">
                {t('lab.keeping.oldest')} <Time at={value.oldest_at} style="short" />
              </span>
            )}
          </p>
          {value.changed && value.days !== value.configured_days ? (
            <p className="quiet">{t('lab.keeping.changed')}</p>
          ) : null}
          {changing ? (
            <RetentionSheet
              days={value.days}
              configured={value.configured_days}
              onClose={() => setChanging(false)}
            />
          ) : null}
        </>
      )}
    </Card>
  );
}

const choices = ['some', 'forEver', 'configured'] as const;
type Choice = (typeof choices)[number];
/** Most days, as the contract has it. */
const most = 36_500;

interface SheetProps {
  readonly days: number;
  readonly configured: number;
  readonly onClose: () => void;
}

function RetentionSheet({ days, configured, onClose }: SheetProps) {
  const { t } = useTranslation();
  const [choice, setChoice] = useState<Choice>('some');
  const [text, setText] = useState(days === 0 ? '365' : String(days));
  const number = /^[0-9]{1,5}$/.test(text.trim()) ? Number(text) : 0;
  const chosen = choice === 'some' ? number : choice === 'forEver' ? 0 : configured;
  const isReady = choice !== 'some' || (number >= 1 && number <= most);
  const change = () =>
    attempt(async () => {
      const body = { days: choice === 'configured' ? null : chosen };
      putAnswer('retention', await ask('PUT /settings/retention', { body }));
      useLab.getState().say('good', 'lab.keeping.done');
      askAgain('');
    });
  return (
    <Confirm
      danger
      title={t('lab.keeping.title')}
      act={chosen === 0 ? t('lab.keeping.applyForEver') : t('lab.keeping.apply')}
      isReady={isReady}
      onAct={change}
      onClose={onClose}
    >
      <Pick
        label={t('lab.keeping.keep')}
        value={choice}
        options={choices.map((key) => ({ key, text: t(`lab.keeping.choices.${key}`) }))}
        onChange={setChoice}
      />
      {choice === 'some' ? <Field label={t('lab.keeping.number')} value={text} onChange={setText} /> : null}
      {choice === 'configured' ? (
        <p>{configured === 0 ? t('lab.keeping.forEver') : t('lab.keeping.days', { count: configured })}</p>
      ) : null}
      {chosen > 0 ? <p>{t('lab.keeping.text')}</p> : null}
    </Confirm>
  );
}
