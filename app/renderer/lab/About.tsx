import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useAnswer } from './answer.ts';
import { send } from './api.ts';
import { Card } from './parts/Page.tsx';
import { useLab } from './store.ts';

interface Licence {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly text: string | null;
}

/** Which version this is, and whose work it is made of. */
export function About() {
  const { t } = useTranslation();
  const version = useLab((state) => state.version);
  const [open, setOpen] = useState(false);
  return (
    <Card title={t('lab.settings.about')}>
      <p>
        {t('lab.settings.version', { version })}. {t('lab.settings.offline')}{' '}
        <a className="link" href="/openapi.json">
          {t('lab.settings.api')}
        </a>
      </p>
      <details className="raw" onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
        <summary>{t('lab.settings.licences')}</summary>
        {open ? <Licences /> : null}
      </details>
    </Card>
  );
}

function Licences() {
  const { t } = useTranslation();
  const { value } = useAnswer('licences', async () => {
    return (await (await send('/static/licences.json', {})).json()) as readonly Licence[];
  });
  return (
    <>
      <p>{t('lab.settings.own')}</p>
      <ul className="licences">
        {value?.map(({ name, version, licence, text }) => (
          <li key={name}>
            {text === null ? (
              `${name} ${version}: ${licence}`
            ) : (
              <details>
                <summary>
                  {name} {version}: {licence}
                </summary>
                <pre>{text}</pre>
              </details>
            )}
          </li>
        ))}
      </ul>
    </>
  );
}
