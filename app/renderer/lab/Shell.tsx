import { type ComponentType, lazy, Suspense, useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, Redirect, Route, Switch, useLocation } from 'wouter';
import { ClockIcon, CrossIcon, GearIcon, ImageIcon, Mark } from '../icons.tsx';
import { Button, IconButton } from '../parts/Button.tsx';
import { Note } from '../parts/Note.tsx';
import { ExitIcon, HomeIcon, MachineIcon, NetworkIcon, TaskIcon } from './icons.tsx';
import { Keys } from './Keys.tsx';
import { MachinesPage } from './pages/MachinesPage.tsx';
import { Broken } from './parts/Broken.tsx';
import { RefusalText } from './parts/Refused.tsx';
import { useLab } from './store.ts';
import { useWaiting } from './waiting.ts';

const page = (load: () => Promise<ComponentType>) => lazy(async () => ({ default: await load() }));
const DashboardPage = page(async () => (await import('./pages/DashboardPage.tsx')).DashboardPage);
const ImagesPage = page(async () => (await import('./pages/ImagesPage.tsx')).ImagesPage);
const BootPage = page(async () => (await import('./pages/BootPage.tsx')).BootPage);
const TasksPage = page(async () => (await import('./pages/TasksPage.tsx')).TasksPage);
const EventsPage = page(async () => (await import('./pages/EventsPage.tsx')).EventsPage);
const SettingsPage = page(async () => (await import('./pages/SettingsPage.tsx')).SettingsPage);
const SetupPage = page(async () => (await import('./pages/SetupPage.tsx')).SetupPage);
const NowherePage = page(async () => (await import('./pages/NowherePage.tsx')).NowherePage);
const MachinePage = lazy(async () => ({ default: (await import('./pages/MachinePage.tsx')).MachinePage }));

export const places = [
  ['dashboard', HomeIcon],
  ['machines', MachineIcon],
  ['images', ImageIcon],
  ['boot', NetworkIcon],
  ['tasks', TaskIcon],
  ['events', ClockIcon],
  ['settings', GearIcon],
] as const satisfies readonly (readonly [string, ComponentType<{ readonly size?: number }>])[];

/** The frame of all pages: where one can go, what is told on every page, and the page itself. */
export function Shell() {
  const { t } = useTranslation();
  const [place] = useLocation();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  // Whoever hears the page instead of seeing it learns of another one by the focus moving to it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the page is what it reacts to
  useEffect(() => {
    if (!first.current) {
      main.current?.focus();
      // What was refused on the page before is no matter of this one.
      useLab.setState({ trouble: null });
    }
    first.current = false;
  }, [place]);
  return (
    <div className="lab-frame">
      <a className="skip" href="#main">
        {t('lab.nav.skip')}
      </a>
      <Navigation place={place} />
      <div className="lab-body">
        <Waiting />
        <Banners />
        <main id="main" ref={main} tabIndex={-1} className="lab-main" aria-labelledby="page-title">
          <Broken key={place}>
            <Suspense fallback={null}>
              <Pages />
            </Suspense>
          </Broken>
        </main>
      </div>
      <Messages />
      <Keys />
    </div>
  );
}

function Pages() {
  return (
    <Switch>
      <Route path="/">
        <Redirect to="/dashboard" replace />
      </Route>
      <Route path="/login">
        <Redirect to="/dashboard" replace />
      </Route>
      <Route path="/dashboard" component={DashboardPage} />
      <Route path="/machines" component={MachinesPage} />
      <Route path="/images" component={ImagesPage} />
      <Route path="/boot" component={BootPage} />
      <Route path="/tasks" component={TasksPage} />
      <Route path="/events" component={EventsPage} />
      <Route path="/settings" component={SettingsPage} />
      <Route path="/setup" component={SetupPage} />
      <Route path="/machines/:mac">{({ mac }) => <MachinePage key={mac} mac={decoded(mac)} />}</Route>
      <Route>
        <NowherePage />
      </Route>
    </Switch>
  );
}

/** As it was written where it is no encoded text. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function Navigation({ place }: { readonly place: string }) {
  const { t } = useTranslation();
  return (
    <nav className="lab-nav" aria-label={t('lab.nav.label')}>
      <Link href="/dashboard" className="lab-brand" aria-label={t('lab.title')}>
        <Mark />
        <span className="brand-name">bty</span>
      </Link>
      <ul className="lab-places">
        {places.map(([name, Icon]) => (
          <li key={name}>
            <Link
              href={`/${name}`}
              className="lab-place"
              aria-current={place === `/${name}` || place.startsWith(`/${name}/`) ? 'page' : undefined}
            >
              <Icon size={20} />
              <span>{t(`lab.nav.${name}`)}</span>
            </Link>
          </li>
        ))}
      </ul>
      <Foot />
    </nav>
  );
}

function Foot() {
  const { t } = useTranslation();
  const version = useLab((state) => state.version);
  return (
    <form className="lab-foot" method="post" action="/ui/logout">
      <span className="quiet">{version}</span>
      <IconButton type="submit" label={t('lab.nav.logout')} icon={<ExitIcon size={18} />} />
    </form>
  );
}

/** A line above the page while an answer is long in coming. */
function Waiting() {
  const { t } = useTranslation();
  return useWaiting() ? (
    <div className="waiting" role="progressbar" aria-label={t('lab.link.waiting')} />
  ) : null;
}

/** What is true of every page: the appliance is gone, was updated, or refused something. */
function Banners() {
  const { t } = useTranslation();
  const { link, newVersion, trouble } = useLab();
  return (
    <>
      <div role="status">
        {link === 'lost' ? (
          <div className="banner">
            <Note kind="warn">{t('lab.link.lost')}</Note>
          </div>
        ) : null}
        {newVersion === null ? null : (
          <div className="banner">
            <Note kind="info">
              {t('lab.link.newVersion', { version: newVersion })}{' '}
              <Button look="quiet" onPress={() => location.reload()}>
                {t('lab.link.reload')}
              </Button>
            </Note>
          </div>
        )}
      </div>
      <div role="alert">
        {trouble === null ? null : (
          <div className="banner">
            <Note kind="bad">
              <div className="trouble-row">
                <RefusalText refusal={trouble} />
                <IconButton
                  label={t('common.dismiss')}
                  icon={<CrossIcon size={16} />}
                  onPress={() => useLab.setState({ trouble: null })}
                />
              </div>
            </Note>
          </div>
        )}
      </div>
    </>
  );
}

function Messages() {
  const { t } = useTranslation();
  const said = useLab((state) => state.said);
  return (
    <div className="messages" role="status">
      {said.map(({ id, tone, text, values }) => (
        <p key={id} className={`message message-${tone}`}>
          {t(text as 'lab.common.saved', { defaultValue: text, ...values })}
        </p>
      ))}
    </div>
  );
}
