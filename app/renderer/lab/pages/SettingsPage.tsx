import { useTranslation } from 'react-i18next';
import { Button } from '../../parts/Button.tsx';
import { Note } from '../../parts/Note.tsx';
import { About } from '../About.tsx';
import { useAnswer } from '../answer.ts';
import { ask } from '../api.ts';
import { ExitIcon } from '../icons.tsx';
import { PasswordForm } from '../PasswordForm.tsx';
import { Card, Page } from '../parts/Page.tsx';
import { Pick } from '../parts/Pick.tsx';
import { BackupCard } from '../Restore.tsx';
import { RetentionCard } from '../Retention.tsx';
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
          <RetentionCard />
          <BackupCard />
          <AllSettings />
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

function AllSettings() {
  const { t } = useTranslation();
  const { value: rows } = useSettings();
  return (
    <Card title={t('lab.settings.all')}>
      <details className="raw">
        <summary>{t('lab.common.details')}</summary>
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
                  <td lang="en">{sentence}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </Card>
  );
}
