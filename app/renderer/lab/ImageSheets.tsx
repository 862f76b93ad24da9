import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { askAgain, attempt } from './answer.ts';
import { ask, send } from './api.ts';
import { Confirm } from './parts/Confirm.tsx';
import { TextArea } from './parts/TextArea.tsx';
import { useLab } from './store.ts';

const isAddress = (text: string) => /^https?:\/\/[^/\s]\S*$/.test(text);

export function AddImage({ onClose }: { readonly onClose: () => void }) {
  const { t } = useTranslation();
  const [url, setUrl] = useState('');
  const [sums, setSums] = useState('');
  const add = () =>
    attempt(async () => {
      const body = { image_url: url.trim(), sha_url: sums.trim() === '' ? null : sums.trim() };
      await ask('POST /catalog/entries', { body });
      askAgain('');
    });
  return (
    <Confirm
      title={t('lab.images.urlTitle')}
      act={t('lab.images.urlAdd')}
      isReady={isAddress(url.trim()) && (sums.trim() === '' || isAddress(sums.trim()))}
      onAct={add}
      onClose={onClose}
    >
      <Field
        label={t('lab.images.url')}
        placeholder={t('lab.images.urlHint')}
        value={url}
        onChange={setUrl}
        autoFocus
        problem={url.trim() !== '' && !isAddress(url.trim()) ? t('address.badAddress') : null}
      />
      <Field
        label={t('lab.images.shaUrl')}
        value={sums}
        onChange={setSums}
        problem={sums.trim() !== '' && !isAddress(sums.trim()) ? t('address.badAddress') : null}
      />
    </Confirm>
  );
}

/** A manifest, from a file or pasted. */
export function ImportCatalog({ onClose }: { readonly onClose: () => void }) {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState('');
  const put = () =>
    attempt(async () => {
      const answer = await send('/catalog/manifest', { method: 'PUT', body: text });
      const { count } = (await answer.json()) as { readonly count: number };
      useLab.getState().say('good', 'lab.images.imported', { count });
      askAgain('');
    });
  return (
    <Confirm
      title={t('lab.images.importTitle')}
      act={t('lab.images.importDo')}
      isReady={text.trim() !== ''}
      onAct={put}
      onClose={onClose}
    >
      <p>{t('lab.images.importHint')}</p>
      <input
        ref={input}
        type="file"
        accept=".toml,text/plain"
        hidden
        onChange={({ target }) => {
          void target.files?.[0]?.text().then(setText);
        }}
      />
      <div>
        <Button onPress={() => input.current?.click()}>{t('lab.images.importFile')}</Button>
      </div>
      <TextArea label={t('lab.images.importText')} value={text} onChange={setText} />
    </Confirm>
  );
}
