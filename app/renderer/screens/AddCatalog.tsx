import { useState } from 'react';
import { ask } from '../client.ts';
import { PlusIcon } from '../icons.tsx';
import { Button } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, changeSettings, useStore } from '../store.ts';
import { isAddress } from './AddressSheet.tsx';

/** Adds a catalog to the settings: a file, or an address. */
export function AddCatalog({ autoFocus = false }: { readonly autoFocus?: boolean }) {
  const { t } = useText();
  const catalogs = useStore((state) => state.settings.catalogs);
  const [address, setAddress] = useState('');
  const add = () => {
    void changeSettings({ catalogs: [...new Set([...catalogs, address.trim()])] });
    setAddress('');
  };
  return (
    <div className="add-catalog">
      <Field
        autoFocus={autoFocus}
        label={t('catalog.addAddress')}
        placeholder="https://example.org/catalog.toml"
        value={address}
        onChange={setAddress}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && isAddress(address.trim())) add();
        }}
      />
      <Button isDisabled={!isAddress(address.trim())} onPress={add}>
        {t('catalog.add')}
      </Button>
      <Button
        icon={<PlusIcon size={16} />}
        onPress={() => void attempt(() => ask('settings.addCatalog', {}))}
      >
        {t('catalog.addFile')}
      </Button>
    </div>
  );
}
