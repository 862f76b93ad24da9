import { useEffect, useState } from 'react';
import { I18nProvider } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { Router } from 'wouter';
import { Note } from '../parts/Note.tsx';
import { SheetsAside } from '../parts/Sheet.tsx';
import { ask, Refusal } from './api.ts';
import { connect } from './live.ts';
import { LoginPage } from './pages/LoginPage.tsx';
import { Shell } from './Shell.tsx';
import { useLab } from './store.ts';

/**
 * All pages of the appliance. Whoever is not logged in sees the form to log in, and then the page they wanted. A session
 * that ends puts the form over the page, which stays as it is beneath: half a form and a selection are not lost.
 */
export function Lab() {
  const { t, i18n } = useTranslation();
  const session = useLab((state) => state.session);
  const link = useLab((state) => state.link);
  const [entered, setEntered] = useState(false);
  if (session === 'in' && !entered) setEntered(true);
  const out = session === 'out';
  useEffect(() => void enter(), []);
  return (
    <I18nProvider locale={i18n.language}>
      <Router base="/ui">
        {entered ? (
          <SheetsAside value={out}>
            <div className="lab-kept" inert={out}>
              <Shell />
            </div>
          </SheetsAside>
        ) : null}
        {out ? <LoginPage /> : null}
        {session === 'unknown' && link === 'lost' ? (
          <main className="login">
            <Note kind="warn">{t('lab.link.lost')}</Note>
          </main>
        ) : null}
      </Router>
    </I18nProvider>
  );
}

/** Milliseconds between two tries to find out who is there. */
const pause = 2000;

/** Asks who is logged in, again and again while the appliance cannot be reached. */
export async function enter(): Promise<void> {
  try {
    const [{ version }, { scope }] = await Promise.all([ask('GET /version'), ask('GET /access/who')]);
    useLab.setState({ session: 'in', scope, version: useLab.getState().version ?? version });
    connect();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) return;
    useLab.setState({ link: 'lost' });
    setTimeout(() => void enter(), pause);
  }
}
