import { useEffect, useRef } from 'react';
import { I18nProvider } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { isBusy } from '../../shared/app/batch.ts';
import { BoltIcon, ClockIcon, CrossIcon, GearIcon, Mark, NetworkIcon } from './icons.tsx';
import { IconButton } from './parts/Button.tsx';
import { Failed } from './parts/Failed.tsx';
import { Note } from './parts/Note.tsx';
import { AddressSheet } from './screens/AddressSheet.tsx';
import { AddSheet } from './screens/AddSheet.tsx';
import { ApplianceScreen } from './screens/ApplianceScreen.tsx';
import { CatalogSheet } from './screens/CatalogSheet.tsx';
import { ChooseScreen } from './screens/ChooseScreen.tsx';
import { ClosingSheet } from './screens/ClosingSheet.tsx';
import { HistoryScreen } from './screens/HistoryScreen.tsx';
import { LeavingSheet } from './screens/LeavingSheet.tsx';
import { PasswordSheet } from './screens/PasswordSheet.tsx';
import { ProgressScreen } from './screens/ProgressScreen.tsx';
import { ResultScreen } from './screens/ResultScreen.tsx';
import { SettingsScreen } from './screens/SettingsScreen.tsx';
import { SystemSheet } from './screens/SystemSheet.tsx';
import { type Screen, useStore } from './store.ts';

export function App() {
  const { i18n } = useTranslation();
  return (
    <I18nProvider locale={i18n.language}>
      <Header />
      <Trouble />
      <CurrentScreen />
      <CurrentSheet />
    </I18nProvider>
  );
}

const places = [
  ['flash', BoltIcon],
  ['appliance', NetworkIcon],
  ['history', ClockIcon],
  ['settings', GearIcon],
] as const satisfies readonly (readonly [Screen, unknown])[];

function Header() {
  const { t } = useTranslation();
  const screen = useStore((state) => state.screen);
  const platform = useStore((state) => state.about.platform);
  // What answers machines needs a kernel that binds sockets to interfaces.
  const shown = places.filter(([place]) => place !== 'appliance' || platform === 'linux');
  return (
    <header className="header">
      <div className="brand">
        <Mark />
        <span className="brand-name">bty</span>
      </div>
      <nav className="nav" aria-label={t('nav.label')}>
        {shown.map(([place, Icon]) => (
          <button
            key={place}
            type="button"
            className="nav-item"
            aria-current={screen === place ? 'page' : undefined}
            onClick={() => useStore.setState({ screen: place })}
          >
            <Icon size={18} />
            <span>{t(`nav.${place}`)}</span>
          </button>
        ))}
      </nav>
    </header>
  );
}

/** What failed last, until it is dismissed. */
function Trouble() {
  const { t } = useTranslation();
  const failure = useStore((state) => state.failure);
  return (
    <div className="trouble" role="alert">
      {failure === null ? null : (
        <Note kind="bad">
          <div className="trouble-row">
            <div>
              <Failed failure={failure} />
            </div>
            <IconButton
              label={t('common.dismiss')}
              icon={<CrossIcon size={16} />}
              onPress={() => useStore.setState({ failure: null })}
            />
          </div>
        </Note>
      )}
    </div>
  );
}

function CurrentScreen() {
  const screen = useStore((state) => state.screen);
  const batch = useStore((state) => state.batch);
  const stage = batch === null ? 'choose' : isBusy(batch) ? 'progress' : 'result';
  const shown = screen === 'flash' ? stage : screen;
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  // Whoever hears the window instead of seeing it learns of another screen by the focus moving to it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the screen is what it reacts to
  useEffect(() => {
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [shown]);
  return (
    <main ref={main} className={`main main-${shown}`} tabIndex={-1} aria-labelledby="screen-title">
      {shown === 'choose' && <ChooseScreen />}
      {shown === 'progress' && batch && <ProgressScreen batch={batch} />}
      {shown === 'result' && batch && <ResultScreen batch={batch} />}
      {shown === 'appliance' && <ApplianceScreen />}
      {shown === 'history' && <HistoryScreen />}
      {shown === 'settings' && <SettingsScreen />}
    </main>
  );
}

function CurrentSheet() {
  const sheet = useStore((state) => state.sheet);
  const batch = useStore((state) => state.batch);
  switch (sheet) {
    case 'address':
      return <AddressSheet />;
    case 'catalog':
      return <CatalogSheet />;
    case 'system':
      return <SystemSheet />;
    case 'closing':
      return <ClosingSheet busy={isBusy(batch)} />;
    case 'leaving':
      return <LeavingSheet />;
    case 'password':
      return <PasswordSheet />;
    case 'add':
      return batch ? <AddSheet batch={batch} /> : null;
    case null:
      return null;
  }
}
