import { useTranslation } from 'react-i18next';
import { SaveIcon } from '../../icons.tsx';
import { Button } from '../../parts/Button.tsx';
import { Note } from '../../parts/Note.tsx';
import { About } from '../About.tsx';
import { useAnswer } from '../answer.ts';
import { ask } from '../api.ts';
import { ExitIcon } from '../icons.tsx';
import { PasswordForm } from '../PasswordForm.tsx';
import { Card, Page } from '../parts/Page.tsx';
import { Pick } from '../parts/Pick.tsx';
import { Sessions } from '../Sessions.tsx';
import { useLab } from '../store.ts';
import { Tokens } from '../Tokens.tsx';
import { chooseLanguage, type LanguageChoice, languageChoice } from '../words.ts';

export function SettingsPage() {
  const { t } = useTranslation();
  const admin = useLab(({ scope }) => scope === 'admin');
  return (
    <Page
      title={t('lab.settings.title')}
      actions={
        <form method="post" action="/ui/logout">
          <Button type="submit" icon={<ExitIcon size={16} />}>
            {t('lab.nav.logout')}
          </Button>
        </form>
      }
    >
      <Card title={t('lab.settings.language')}>
        <Language />
      </Card>
      {admin ? (
        <>
          <Card title={t('lab.settings.security')}>
            <PasswordForm />
          </Card>
          <Sessions />
          <Tokens />
          <Encryption />
          <Kept />
          <Backup />
        </>
      ) : null}
      <About />
    </Page>
  );
}

function Language() {
  const { t, i18n } = useTranslation();
  const options: readonly LanguageChoice[] = ['system', 'en', 'de'];
  return (
    <Pick
      // Another language is another value of "as the system".
      key={i18n.language}
      hidden
      label={t('lab.settings.language')}
      value={languageChoice()}
      options={options.map((key) => ({ key, text: t(`settings.languages.${key}`) }))}
      onChange={(key) => void chooseLanguage(key)}
    />
  );
}

function Encryption() {
  const { t } = useTranslation();
  const secure = location.protocol === 'https:';
  return (
    <Card title={t('lab.settings.tls')}>
      {secure ? <p>{t('lab.settings.tlsOn')}</p> : <Note kind="warn">{t('lab.settings.tlsOff')}</Note>}
    </Card>
  );
}

function useSettings() {
  return useAnswer('settings', () => ask('GET /settings'));
}

/** How long things are kept, and every setting. */
function Kept() {
  const { t } = useTranslation();
  const { value: rows } = useSettings();
  const days = Number(rows?.find(({ name }) => name === 'retention_days')?.value ?? 0);
  return (
    <Card title={t('lab.settings.retention')}>
      <p>
        {days === 0 ? t('lab.settings.retentionForEver') : t('lab.settings.retentionDays', { count: days })}
      </p>
      <p className="quiet">{t('lab.settings.retentionHow')}</p>
      <details className="raw">
        <summary>{t('lab.settings.all')}</summary>
        <p className="quiet">{t('lab.settings.allHint')}</p>
        <div className="table-frame">
          <table className="table cards">
            <thead>
              <tr>
                <th scope="col">{t('lab.common.name')}</th>
                <th scope="col">{t('lab.settings.value')}</th>
                <th scope="col">{t('lab.common.details')}</th>
              </tr>
            </thead>
            <tbody>
              {rows?.map(({ name, value, secret, usual, sentence }) => (
                <tr key={name}>
                  <td className="mono">{name}</td>
                  <td data-name={t('lab.settings.value')} className="table-name">
                    {secret ? (
                      <span className="quiet">{t('lab.settings.secret')}</span>
                    ) : (
                      (value ?? <span className="quiet">{t('lab.common.none')}</span>)
                    )}{' '}
                    {usual ? null : <span className="badge badge-done">{t('lab.settings.set')}</span>}
                  </td>
                  <td>{sentence}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </Card>
  );
}

function Backup() {
  const { t } = useTranslation();
  return (
    <Card title={t('lab.settings.backup')}>
      <p>{t('lab.settings.backupHint')}</p>
      <div>
        <Button icon={<SaveIcon size={16} />} onPress={() => location.assign('/backup')}>
          {t('lab.settings.backupDo')}
        </Button>
      </div>
      <p className="quiet">{t('lab.settings.restoreHint')}</p>
      <pre>bty-web restore FILE</pre>
    </Card>
  );
}
