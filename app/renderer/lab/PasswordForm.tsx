import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { attempt } from './answer.ts';
import { ask } from './api.ts';
import { disconnect } from './live.ts';
import { useLab } from './store.ts';

/** Fewest characters of a password, as the contract has it. */
const fewest = 8;

export function PasswordForm() {
  const { t } = useTranslation();
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const change = (event: FormEvent) => {
    event.preventDefault();
    void attempt(async () => {
      await ask('PUT /access/password', { body: { current, password: next } });
      setCurrent('');
      setNext('');
      useLab.getState().say('good', 'lab.settings.changed');
      disconnect();
      useLab.setState({ session: 'out' });
    });
  };
  return (
    <form className="form" onSubmit={change}>
      <div className="form-row">
        <Field
          label={t('lab.settings.current')}
          type="password"
          autoComplete="current-password"
          value={current}
          onChange={setCurrent}
        />
        <Field
          label={t('lab.settings.next')}
          hint={t('lab.settings.nextHint')}
          type="password"
          autoComplete="new-password"
          value={next}
          onChange={setNext}
        />
      </div>
      <div>
        <Button type="submit" isDisabled={current === '' || next.length < fewest}>
          {t('lab.settings.change')}
        </Button>
      </div>
    </form>
  );
}
