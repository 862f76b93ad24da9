import { lazy, Suspense, useEffect, useRef } from 'react';
import { I18nProvider } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { isBusy } from '../../shared/app/batch.ts';
import { BoltIcon, ClockIcon, CrossIcon, GearIcon, Mark, NetworkIcon } from './icons.tsx';
import { IconButton } from './parts/Button.tsx';
import { Failed } from './parts/Failed.tsx';
import { Note } from './parts/Note.tsx';
import { ChooseScreen } from './screens/ChooseScreen.tsx';
import { DropVeil } from './screens/DropVeil.tsx';
import { type Screen, useStore } from './store.ts';

/** What is not seen at the start. It is fetched once the window stands, so that nobody waits for it later. */
const later = () => import('./later.ts');
const from = <Name extends keyof Awaited<ReturnType<typeof later>>>(name: Name) =>
  lazy(async () => ({ default: (await later())[name] }));
const ProgressScreen = from('ProgressScreen');
const ResultScreen = from('ResultScreen');
const ApplianceScreen = from('ApplianceScreen');
const HistoryScreen = from('HistoryScreen');
const SettingsScreen = from('SettingsScreen');
const CurrentSheet = from('CurrentSheet');

export function App() {
  const { i18n } = useTranslation();
  useEffect(() => {
    const idle = requestIdleCallback(() => void later());
    return () => cancelIdleCallback(idle);
  }, []);
  return (
    <I18nProvider locale={i18n.language}>
      <Header />
      <Trouble />
      <CurrentScreen />
      <AnySheet />
      <DropVeil />
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
      <Suspense>
        {shown === 'progress' && batch && <ProgressScreen batch={batch} />}
        {shown === 'result' && batch && <ResultScreen batch={batch} />}
        {shown === 'appliance' && <ApplianceScreen />}
        {shown === 'history' && <HistoryScreen />}
        {shown === 'settings' && <SettingsScreen />}
      </Suspense>
    </main>
  );
}

function AnySheet() {
  const sheet = useStore((state) => state.sheet);
  return <Suspense>{sheet === null ? null : <CurrentSheet sheet={sheet} />}</Suspense>;
}
