import { useEffect } from 'react';
import { I18nProvider } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { Router } from 'wouter';
import { ask, Refusal } from './api.ts';
import { connect } from './live.ts';
import { LoginPage } from './pages/LoginPage.tsx';
import { Shell } from './Shell.tsx';
import { useLab } from './store.ts';

/** All pages of the appliance. Whoever is not logged in sees the form to log in, and then the page they wanted. */
export function Lab() {
  const { i18n } = useTranslation();
  const session = useLab((state) => state.session);
  useEffect(() => void enter(), []);
  return (
    <I18nProvider locale={i18n.language}>
      <Router base="/ui">
        {session === 'in' ? <Shell /> : null}
        {session === 'out' ? <LoginPage /> : null}
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
    setTimeout(() => void enter(), pause);
  }
}
