import { useState } from 'react';
import { ask } from '../client.ts';
import { Button } from '../parts/Button.tsx';
import { Sheet } from '../parts/Sheet.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, useStore } from '../store.ts';

/** How the appliance's pages are opened elsewhere: their address, and a new password that is shown here only. */
export function PasswordSheet() {
  const { t } = useText();
  const addresses = useStore((state) => state.appliance.facts?.addresses) ?? [];
  const [password, setPassword] = useState<string | null>(null);
  const close = () => useStore.setState({ sheet: null });
  const make = () => void attempt(async () => setPassword(await ask('appliance.password', {})));
  return (
    <Sheet
      title={t('appliance.passwordTitle')}
      onClose={close}
      actions={
        <>
          <Button onPress={close}>{t('common.close')}</Button>
          {password === null ? (
            <Button look="primary" onPress={make}>
              {t('appliance.passwordMake')}
            </Button>
          ) : null}
        </>
      }
    >
      <p>{t('appliance.passwordText', { address: addresses[0] ?? '' })}</p>
      {password === null ? (
        <p className="quiet">{t('appliance.passwordMakeHint')}</p>
      ) : (
        <p role="status">
          <span className="field-label">{t('appliance.passwordNew')}</span>{' '}
          <code className="password">{password}</code>
        </p>
      )}
    </Sheet>
  );
}
