import { CrossIcon } from '../icons.tsx';
import { IconButton } from '../parts/Button.tsx';
import { Choice } from '../parts/Choice.tsx';
import { Switch } from '../parts/Switch.tsx';
import { useText } from '../parts/useText.ts';
import { changeSettings, useStore } from '../store.ts';
import { AddCatalog } from './AddCatalog.tsx';
import { virtualDiskBytes } from './DiskPane.tsx';

export function SettingsScreen() {
  const { t, bytes } = useText();
  const settings = useStore((state) => state.settings);
  const about = useStore((state) => state.about);
  return (
    <div className="scroll">
      <div className="column">
        <h1 id="screen-title" className="title">
          {t('settings.title')}
        </h1>
        <section className="card">
          <div className="setting">
            <div>
              <p className="switch-label">{t('verify.label')}</p>
              <p className="switch-hint">{t('settings.verifyHint')}</p>
            </div>
            <Choice
              hidden
              label={t('verify.label')}
              value={settings.verify}
              options={(['full', 'written', 'none'] as const).map((key) => ({
                key,
                text: t(`verify.${key}`),
              }))}
              onChange={(verify) => void changeSettings({ verify })}
            />
          </div>
          <div className="setting">
            <p className="switch-label">{t('settings.language')}</p>
            <Choice
              hidden
              label={t('settings.language')}
              value={settings.language}
              options={(['system', 'en', 'de'] as const).map((key) => ({
                key,
                text: t(`settings.languages.${key}`),
              }))}
              onChange={(language) => void changeSettings({ language })}
            />
          </div>
        </section>
        <Catalogs catalogs={settings.catalogs} />
        <section className="card">
          <Switch
            label={t('settings.history')}
            hint={t('settings.historyHint')}
            value={settings.keepHistory}
            onChange={(keepHistory) => void changeSettings({ keepHistory })}
          />
          <Switch
            label={t('settings.virtual')}
            hint={t('settings.virtualHint', { size: bytes(settings.virtualDisk ?? virtualDiskBytes) })}
            value={settings.virtualDisk !== null}
            onChange={(on) => void changeSettings({ virtualDisk: on ? virtualDiskBytes : null })}
          />
          {about.platform === 'linux' ? (
            <Switch
              label={t('settings.loops')}
              hint={t('settings.loopsHint')}
              value={settings.allowLoops}
              onChange={(allowLoops) => void changeSettings({ allowLoops })}
            />
          ) : null}
        </section>
        <p className="about">{t('settings.about', { version: about.version, electron: about.electron })}</p>
      </div>
    </div>
  );
}

function Catalogs({ catalogs }: { readonly catalogs: readonly string[] }) {
  const { t } = useText();
  return (
    <section className="card" aria-labelledby="catalogs-title">
      <h2 id="catalogs-title" className="switch-label">
        {t('settings.catalogs')}
      </h2>
      <p className="switch-hint">{t('settings.catalogsHint')}</p>
      <ul className="catalogs">
        {catalogs.map((catalog) => (
          <li key={catalog} className="catalog">
            <span className="catalog-name">{catalog}</span>
            <IconButton
              label={`${t('common.remove')}: ${catalog}`}
              icon={<CrossIcon size={14} />}
              onPress={() => void changeSettings({ catalogs: catalogs.filter((known) => known !== catalog) })}
            />
          </li>
        ))}
      </ul>
      <AddCatalog />
    </section>
  );
}
