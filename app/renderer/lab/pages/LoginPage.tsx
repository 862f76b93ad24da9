import { type FormEvent, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation } from 'wouter';
import { Mark } from '../../icons.tsx';
import { Button } from '../../parts/Button.tsx';
import { Field } from '../../parts/Field.tsx';
import { Note } from '../../parts/Note.tsx';
import { enter } from '../Lab.tsx';

type Problem =
  | { readonly kind: 'wrong' | 'unreachable' }
  | { readonly kind: 'locked'; readonly seconds: number };

export function LoginPage() {
  const { t } = useTranslation();
  const [place, go] = useLocation();
  const [password, setPassword] = useState('');
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const atLogin = place === '/login';
  useComeIn(async () => {
    if (atLogin) go(wantedPage(), { replace: true });
    await enter();
  });
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    const found = await logIn(password);
    setBusy(false);
    setProblem(found);
    if (found !== null) return;
    if (atLogin) go(wantedPage(), { replace: true });
    await enter();
  };
  return (
    <main className="login">
      <form className="login-card" onSubmit={(event) => void submit(event)}>
        <div className="brand">
          <Mark size={40} />
          <h1 className="title">{t('lab.login.title')}</h1>
        </div>
        {atLogin ? null : <Note kind="info">{t('lab.login.ended')}</Note>}
        <Field
          label={t('lab.login.password')}
          hint={t('lab.login.hint')}
          type="password"
          name="password"
          autoComplete="current-password"
          autoFocus
          value={password}
          onChange={setPassword}
          problem={problem === null ? null : told(problem)}
        />
        <Button look="primary" type="submit" isDisabled={busy || password === ''}>
          {t('lab.login.do')}
        </Button>
      </form>
    </main>
  );

  function told(found: Problem): string {
    switch (found.kind) {
      case 'wrong':
        return t('lab.login.wrong');
      case 'locked':
        return t('lab.login.locked', { count: found.seconds });
      case 'unreachable':
        return t('lab.link.unreachable');
    }
  }
}

/** Milliseconds between two looks whether somebody is logged in. */
const pause = 3000;

/** Calls `come` when a session is there without this form: of another page of this browser, or of the app around it. */
function useComeIn(come: () => Promise<void>): void {
  const latest = useRef(come);
  latest.current = come;
  useEffect(() => {
    const look = async () => {
      if (document.hidden) return;
      const answer = await fetch('/access/who', { credentials: 'same-origin' }).catch(() => null);
      if (answer?.ok === true) await latest.current();
    };
    const timer = setInterval(() => void look(), pause);
    return () => clearInterval(timer);
  }, []);
}

/** The contract's form: it answers a redirect when the password was right, which a page does not follow. */
async function logIn(password: string): Promise<Problem | null> {
  try {
    const body = new URLSearchParams({ password });
    const answer = await fetch('/ui/login', { method: 'POST', body, redirect: 'manual' });
    if (answer.type === 'opaqueredirect') return null;
    if (answer.status !== 429) return { kind: answer.status === 200 ? 'wrong' : 'unreachable' };
    return { kind: 'locked', seconds: Number(answer.headers.get('retry-after') ?? 60) };
  } catch {
    return { kind: 'unreachable' };
  }
}

/** What was asked for before the form came (`netboot/http/routes/ui.ts`), below /ui; the dashboard when nothing was. */
function wantedPage(): string {
  const found = /(?:^|; )bty-next=([^;]*)/.exec(document.cookie)?.[1];
  if (found === undefined) return '/dashboard';
  // biome-ignore lint/suspicious/noDocumentCookie: the other way to a cookie is missing without TLS
  document.cookie = 'bty-next=; Path=/ui/login; Max-Age=0; SameSite=Strict';
  try {
    const wanted = decodeURIComponent(found);
    return wanted.startsWith('/ui/') && !wanted.startsWith('/ui/login') ? wanted.slice(3) : '/dashboard';
  } catch {
    return '/dashboard';
  }
}
