import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation } from 'wouter';
import { normalMac } from '../../../shared/machine/mac.ts';
import { Field } from '../parts/Field.tsx';
import { attempt } from './answer.ts';
import { ask, Refusal } from './api.ts';
import { Confirm } from './parts/Confirm.tsx';

/** Enters a machine before it is seen. */
export function AddMachine({ onClose }: { readonly onClose: () => void }) {
  const { t } = useTranslation();
  const [, go] = useLocation();
  const [text, setText] = useState('');
  const [name, setName] = useState('');
  const mac = normalMac(text.trim());
  const add = () =>
    attempt(async () => {
      if (mac === null) return;
      // PATCH would not make it, and PUT would bring a known one back to its defaults.
      const exists = await ask('GET /machines/{mac}', { params: { mac } }).then(
        () => true,
        (error: unknown) => {
          if (error instanceof Refusal && error.status === 404) return false;
          throw error;
        },
      );
      const hostname = name.trim() === '' ? null : name.trim();
      const params = { mac };
      if (!exists) await ask('PUT /machines/{mac}', { params, body: { hostname } });
      else if (hostname !== null) await ask('PATCH /machines/{mac}', { params, body: { hostname } });
      go(`/machines/${mac}`);
    });
  return (
    <Confirm
      title={t('lab.machines.addTitle')}
      act={t('lab.machines.addDo')}
      isReady={mac !== null}
      onAct={add}
      onClose={onClose}
    >
      <Field
        label={t('lab.machines.addMac')}
        placeholder={t('lab.machines.addMacHint')}
        value={text}
        onChange={setText}
        autoFocus
        problem={text.trim().length >= 12 && mac === null ? t('lab.machines.badMac') : null}
      />
      <Field label={t('lab.machines.addName')} value={name} onChange={setName} />
    </Confirm>
  );
}
