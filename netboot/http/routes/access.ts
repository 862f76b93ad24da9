import { accessOperations } from '../../../shared/contract/access.ts';
import type { Token } from '../../access/access.ts';
import { cookieName, deletionCookie, sessionCookie } from '../cookie.ts';
import { html, page } from '../html.ts';
import { Problem } from '../problem.ts';
import { type Call, empty, json, redirect, serve, text } from '../route.ts';
import type { Routes } from '../server.ts';

export const accessRoutes: Routes = (app, services) => {
  const { access, config, clock } = services;

  // The form itself is a page (ui.ts).
  serve(app, services, accessOperations.login, async ({ body, address, secure }) => {
    const result = await access.login(body.password, address);
    services.metrics.logins.inc({ result: result.kind });
    switch (result.kind) {
      case 'in':
        return redirect('/ui/dashboard', { 'set-cookie': sessionCookie(result.cookie, config, secure) });
      case 'wrong':
        return text(loginForm('That is not the password.'), 'text/html; charset=utf-8');
      case 'locked': {
        const problem = `Too many wrong passwords. Try again in ${result.seconds} s.`;
        const headers = { 'retry-after': String(result.seconds) };
        return text(loginForm(problem), 'text/html; charset=utf-8', 429, headers);
      }
    }
  });

  serve(app, services, accessOperations.logout, async ({ request, address, secure }) => {
    const cookie = request.cookies[cookieName];
    if (cookie !== undefined) await access.logout(cookie, address);
    return redirect('/ui/login', { 'set-cookie': deletionCookie(secure) });
  });

  serve(app, services, accessOperations.who, ({ principal }) => {
    return json({ kind: principal?.kind, actor: principal?.actor, scope: principal?.scope });
  });

  serve(app, services, accessOperations.listSessions, ({ principal }) => {
    const time = (at: number) => new Date(at).toISOString();
    return json(
      access.sessions().map(({ id, createdAt, usedAt, expiresAt, address }) => ({
        id,
        created_at: time(createdAt),
        last_used_at: time(usedAt),
        expires_at: time(expiresAt),
        source_ip: address,
        current: principal?.kind === 'session' && principal.id === id,
      })),
    );
  });

  serve(app, services, accessOperations.endSession, async (call) => {
    const { id = '' } = call.params;
    if (!(await access.endSession(id, actorOf(call), call.address)))
      throw new Problem(404, `no session ${id.slice(0, 100)}`);
    return empty();
  });

  serve(app, services, accessOperations.endSessions, async ({ principal, address }) => {
    await access.endSessions(principal?.actor ?? 'operator', address);
    return empty();
  });

  serve(app, services, accessOperations.changePassword, async ({ body, principal, address }) => {
    const actor = principal?.actor ?? 'operator';
    const result = await access.changePassword(body.current, body.password, actor, address);
    if (result.kind === 'wrong') throw new Problem(403, 'the current password is wrong');
    if (result.kind === 'locked')
      throw new Problem(429, 'too many wrong passwords', { 'retry-after': String(result.seconds) });
    return empty();
  });

  serve(app, services, accessOperations.listTokens, () => json(access.tokens().map(tokenInfo)));

  serve(app, services, accessOperations.createToken, async (call) => {
    const { name, scope, expires_in_days: days } = call.body;
    const expiresAt = days === undefined || days === null ? null : clock() + days * 86_400_000;
    const made = await access.createToken({ name, scope, expiresAt }, actorOf(call), call.address);
    if (made === null) throw new Problem(409, `there is a token named "${name}"`);
    return json({ ...tokenInfo(made.info), token: made.token }, 201);
  });

  serve(app, services, accessOperations.deleteToken, async (call) => {
    const { id = '' } = call.params;
    if (!(await access.deleteToken(id, actorOf(call), call.address)))
      throw new Problem(404, `no token ${id.slice(0, 100)}`);
    return empty();
  });
};

/** Who is named in the event of a change. */
export function actorOf({ principal }: Pick<Call, 'principal'>): string {
  return principal?.actor ?? 'operator';
}

function tokenInfo({ id, name, scope, createdAt, expiresAt, usedAt }: Token) {
  const time = (at: number | null) => (at === null ? null : new Date(at).toISOString());
  return {
    id,
    name,
    scope,
    created_at: new Date(createdAt).toISOString(),
    expires_at: time(expiresAt),
    last_used_at: time(usedAt),
  };
}

/** The form to log in without any script. */
export function loginForm(problem: string | null): string {
  return page(
    'bty: log in',
    html`<main><h1>bty</h1>${problem === null ? '' : html`<p role="alert">${problem}</p>`}
<form method="post" action="/ui/login"><label>Password
<input type="password" name="password" autocomplete="current-password" required autofocus></label>
<button>Log in</button></form></main>`,
  );
}
