import { type FormEvent, useState } from 'react';
import { Form } from 'react-aria-components';
import { urlOf } from '../../../shared/app/url.ts';
import { Button } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { Sheet } from '../parts/Sheet.tsx';
import { useText } from '../parts/useText.ts';
import { choose, useStore } from '../store.ts';

export function AddressSheet() {
  const { t } = useText();
  const [address, setAddress] = useState('');
  const [sha, setSha] = useState('');
  const [tried, setTried] = useState(false);
  const close = () => useStore.setState({ sheet: null });
  const wrongAddress = !isAddress(address.trim());
  const wrongSha = sha.trim() !== '' && !/^[0-9a-f]{64}$/i.test(sha.trim());
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (wrongAddress || wrongSha) return;
    const sha256 = sha.trim().toLowerCase();
    void choose({ location: address.trim(), ...(sha256 === '' ? {} : { sha256 }) });
  };
  return (
    <Sheet
      title={t('address.title')}
      onClose={close}
      actions={
        <>
          <Button onPress={close}>{t('common.cancel')}</Button>
          <Button look="primary" type="submit" form="address">
            {t('address.open')}
          </Button>
        </>
      }
    >
      <Form id="address" className="form" onSubmit={submit}>
        <Field
          autoFocus
          label={t('address.label')}
          placeholder={t('address.hint')}
          value={address}
          onChange={setAddress}
          problem={tried && wrongAddress ? t('address.badAddress') : null}
        />
        <Field
          label={t('address.sha')}
          hint={t('address.shaHint')}
          value={sha}
          onChange={setSha}
          problem={tried && wrongSha ? t('address.badSha') : null}
        />
      </Form>
    </Sheet>
  );
}

export function isAddress(text: string): boolean {
  return text.length <= 4096 && /^https?:\/\/[^/]/i.test(text) && urlOf(text) !== null;
}
