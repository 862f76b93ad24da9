import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { CrossIcon } from '../icons.tsx';
import { Button, IconButton } from '../parts/Button.tsx';
import { useText } from '../parts/useText.ts';
import { askAgain, attempt, useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { UploadIcon } from './icons.tsx';
import { Confirm } from './parts/Confirm.tsx';
import { Card } from './parts/Page.tsx';
import { Refused } from './parts/Refused.tsx';
import { Time } from './parts/Time.tsx';
import { useLab } from './store.ts';
import { Uploads } from './Uploads.tsx';
import { upload, useShelf } from './uploads.ts';

/** The files that `core.put` steps may copy onto machines. */
export function PutFiles() {
  const { t } = useTranslation();
  const { bytes } = useText();
  const [going, setGoing] = useState<string | null>(null);
  const { value, refusal, again } = useAnswer('put files', () => ask('GET /tasks/files'), ['event']);
  const uploads = useShelf('tasks/files');
  const operates = useLab(({ scope }) => scope !== 'read');
  const remove = (name: string) =>
    attempt(async () => {
      await ask('DELETE /tasks/files/{name}', { params: { name } });
      askAgain('put files');
    });
  return (
    <Card title={t('lab.task.put')} actions={operates ? <Choose /> : null}>
      <p className="quiet">{t('lab.task.putText')}</p>
      {refusal === null ? null : <Refused refusal={refusal} again={again} />}
      {value?.files.length === 0 ? <p className="quiet">{t('lab.task.noPut')}</p> : null}
      <ul className="parts">
        {value?.files.map(({ name, size_bytes, changed_at }) => (
          <li key={name} className="part">
            <div className="part-words">
              <p>
                <strong className="mono">{name}</strong>
              </p>
              <p className="quiet">
                {bytes(size_bytes)} · <Time at={changed_at} style="short" />
              </p>
            </div>
            {operates ? (
              <IconButton
                label={t('lab.task.putDelete', { name })}
                icon={<CrossIcon size={14} />}
                onPress={() => setGoing(name)}
              />
            ) : null}
          </li>
        ))}
      </ul>
      <Uploads uploads={uploads} />
      {going === null ? null : (
        <Confirm
          danger
          title={t('lab.task.putDeleteTitle', { name: going })}
          act={t('lab.common.delete')}
          onAct={() => remove(going)}
          onClose={() => setGoing(null)}
        >
          <p>{t('lab.task.putDeleteText')}</p>
        </Confirm>
      )}
    </Card>
  );
}

function Choose() {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label={t('lab.task.putAdd')}
        onChange={({ target }) => {
          for (const file of target.files ?? []) upload(file, 'tasks/files');
          target.value = '';
        }}
      />
      <Button icon={<UploadIcon size={16} />} onPress={() => input.current?.click()}>
        {t('lab.task.putAdd')}
      </Button>
    </>
  );
}
