/** Who may do what: the operator's password, sessions, API tokens. */
import { hash, randomBytes } from 'node:crypto';
import { type Scope, scopes } from '../../shared/contract/operation.ts';
import type { Config } from '../config/settings.ts';
import type { EventLog } from '../events/log.ts';
import type { Principal } from '../http/principal.ts';
import type { Database } from '../store/database.ts';
import { Lockout } from './lockout.ts';
import { hashPassword, inventPassword, matchesPassword } from './password.ts';

export interface Credentials {
  readonly cookie: string | undefined;
  readonly bearer: string | undefined;
}

export type LoginResult =
  | { readonly kind: 'in'; readonly cookie: string }
  | { readonly kind: 'wrong' }
  /** Too many wrong ones; seconds until the next try. */
  | { readonly kind: 'locked'; readonly seconds: number };

export interface Token {
  readonly id: string;
  readonly name: string;
  readonly scope: Scope;
  /** Milliseconds since 1970; null where it does not end, or was never used. */
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly usedAt: number | null;
}

export interface Session {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly usedAt: number;
  readonly expiresAt: number;
  /** Whence it was begun. */
  readonly address: string | null;
}

/** Only every so many milliseconds is it written down that a session or token was used. */
const usedGrain = 60_000;
/** Events of guesses that are read at a start. */
const mostRemembered = 10_000;
/** Credentials that are remembered of each kind. */
const mostKnown = 1000;
/** Guesses that are computed at one moment; each takes 32 MiB. */
const guessesAtOnce = 4;

export class Access {
  readonly #database: Database;
  readonly #events: EventLog;
  readonly #config: Config;
  readonly #clock: () => number;
  readonly #lockout = new Lockout();
  /** Of credentials that were used: not every request asks the database. Forgotten with every change of them there. */
  readonly #sessions = new Map<string, { readonly key: string; usedAt: number; expiresAt: number }>();
  readonly #bearers = new Map<
    string,
    Pick<Token, 'id' | 'name' | 'scope' | 'expiresAt'> & { usedAt: number }
  >();
  #guessing = 0;

  constructor(database: Database, events: EventLog, config: Config, clock: () => number) {
    this.#database = database;
    this.#events = events;
    this.#config = config;
    this.#clock = clock;
    this.#rememberGuesses();
  }

  /** Who guessed before a restart still waits: the events of the last hours are told to the lockout again. */
  #rememberGuesses(): void {
    const rows = this.#database
      .prepare(
        `SELECT kind, source_ip, ts FROM events
         WHERE kind IN ('auth.login.failed', 'auth.login.succeeded') ORDER BY id DESC LIMIT ?`,
      )
      .all(mostRemembered);
    const now = this.#clock();
    for (const { kind, source_ip, ts } of rows.reverse()) {
      const at = Date.parse(String(ts));
      if (source_ip === null || !(at <= now)) continue;
      if (kind === 'auth.login.failed') this.#lockout.wrong(String(source_ip), at);
      else this.#lockout.right(String(source_ip));
    }
  }

  /** Sees to it that there is a password. Answers the one that it made, null when there was one already. */
  async prepare(): Promise<string | null> {
    const kept = this.#kept();
    const given = this.#config.adminPassword;
    if (given !== null && given !== '') {
      if (kept === null || !(await matchesPassword(given, kept)))
        await this.#keep(given, 'system', 'The password was set from the configuration.');
      return null;
    }
    if (kept !== null) return null;
    const made = inventPassword();
    await this.#keep(made, 'system', 'A first password was made.');
    return made;
  }

  /** Whom the credentials stand for. A bearer token decides when there is one. */
  authenticate({ cookie, bearer }: Credentials): Principal | null {
    if (bearer !== undefined) return this.#token(bearer);
    return cookie === undefined ? null : this.#session(cookie);
  }

  /** Inside a write that changes sessions or tokens. */
  #forget(): void {
    this.#sessions.clear();
    this.#bearers.clear();
  }

  async login(password: string, address: string): Promise<LoginResult> {
    const checked = await this.#guess(password, address);
    if (checked.kind !== 'in') return checked;
    return { kind: 'in', cookie: await this.openSession(address) };
  }

  /** Opens a session for somebody who is known to be the operator. Answers the value of its cookie. */
  async openSession(address: string): Promise<string> {
    const cookie = randomBytes(32).toString('base64url');
    const now = this.#clock();
    const expires = now + this.#config.sessionSeconds * 1000;
    await this.#database.write(() => {
      this.#forget();
      this.#database.prepare('DELETE FROM sessions WHERE expires_at <= ?').run(now);
      this.#database
        .prepare(
          'INSERT INTO sessions (hash, created_at, used_at, expires_at, source_ip) VALUES (?, ?, ?, ?, ?)',
        )
        .run(this.#sessionHash(cookie), now, now, expires, address);
      this.#append('auth.login.succeeded', 'operator', address, 'The operator logged in.');
    });
    return cookie;
  }

  /** Ends the session of `cookie`; nothing happens when it is none. */
  async logout(cookie: string, address: string): Promise<void> {
    await this.#database.write(() => {
      this.#forget();
      const { changes } = this.#database
        .prepare('DELETE FROM sessions WHERE hash = ?')
        .run(this.#sessionHash(cookie));
      if (Number(changes) > 0) this.#append('auth.logout', 'operator', address, 'The operator logged out.');
    });
  }

  /** Inside a write: the clock was set; sessions and locks last as long as before. */
  moveTime(by: number): void {
    this.#forget();
    this.#database
      .prepare('UPDATE sessions SET used_at = used_at + ?, expires_at = expires_at + ?')
      .run(by, by);
    this.#lockout.moveTime(by);
  }

  /** Sessions that are good, the last used first. */
  sessions(): Session[] {
    const rows = this.#database
      .prepare(
        `SELECT substr(hash, 1, 16) AS id, created_at, used_at, expires_at, source_ip FROM sessions
         WHERE expires_at > ? ORDER BY used_at DESC LIMIT 1000`,
      )
      .all(this.#clock());
    return rows.map((row) => ({
      id: String(row.id),
      createdAt: Number(row.created_at),
      usedAt: Number(row.used_at),
      expiresAt: Number(row.expires_at),
      address: row.source_ip === null ? null : String(row.source_ip),
    }));
  }

  /** False when there is no such session. */
  endSession(id: string, actor: string, address: string): Promise<boolean> {
    return this.#database.write(() => {
      this.#forget();
      const { changes } = this.#database
        .prepare('DELETE FROM sessions WHERE substr(hash, 1, 16) = ?')
        .run(id);
      if (Number(changes) === 0) return false;
      this.#append('auth.session.ended', actor, address, `The session ${id} was ended.`, { id });
      return true;
    });
  }

  async endSessions(actor: string, address: string): Promise<void> {
    await this.#database.write(() => {
      this.#forget();
      const { changes } = this.#database.prepare('DELETE FROM sessions').run();
      this.#append('auth.sessions.ended', actor, address, `All ${changes} sessions were ended.`);
    });
  }

  async changePassword(current: string, next: string, actor: string, address: string): Promise<LoginResult> {
    const checked = await this.#guess(current, address);
    if (checked.kind !== 'in') return checked;
    await this.#keep(next, actor, 'The password was changed; every session ended.', address);
    return checked;
  }

  /** Makes a new password for somebody who is known to be the operator; every session ends. */
  async renewPassword(address: string): Promise<string> {
    const made = inventPassword();
    await this.#keep(made, 'operator', 'A new password was made; every session ended.', address);
    return made;
  }

  tokens(): Token[] {
    const rows = this.#database.prepare('SELECT * FROM tokens ORDER BY created_at, id').all();
    return rows.map((row) => ({
      id: String(row.id),
      name: String(row.name),
      scope: scopeOf(row.scope),
      createdAt: Number(row.created_at),
      expiresAt: row.expires_at === null ? null : Number(row.expires_at),
      usedAt: row.used_at === null ? null : Number(row.used_at),
    }));
  }

  /** Makes a token. Null when there is one of that name. */
  createToken(
    request: { readonly name: string; readonly scope: Scope; readonly expiresAt: number | null },
    actor: string,
    address: string,
  ): Promise<{ readonly token: string; readonly info: Token } | null> {
    const token = `bty_${randomBytes(32).toString('base64url')}`;
    const id = randomBytes(8).toString('hex');
    const { name, scope, expiresAt } = request;
    const createdAt = this.#clock();
    return this.#database.write(() => {
      if (this.#database.prepare('SELECT 1 FROM tokens WHERE name = ?').get(name)) return null;
      this.#database
        .prepare(
          'INSERT INTO tokens (id, name, hash, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)',
        )
        .run(id, name, hash('sha256', token), scope, createdAt, expiresAt);
      const details = { id, name, scope };
      this.#append('auth.token.created', actor, address, `The API token "${name}" was made.`, details);
      return { token, info: { id, name, scope, createdAt, expiresAt, usedAt: null } };
    });
  }

  /** False when there is no such token. */
  deleteToken(id: string, actor: string, address: string): Promise<boolean> {
    return this.#database.write(() => {
      this.#forget();
      const found = this.#database.prepare('SELECT name, scope FROM tokens WHERE id = ?').get(id);
      if (!found) return false;
      this.#database.prepare('DELETE FROM tokens WHERE id = ?').run(id);
      const details = { id, name: found.name, scope: found.scope };
      this.#append(
        'auth.token.deleted',
        actor,
        address,
        `The API token "${found.name}" was deleted.`,
        details,
      );
      return true;
    });
  }

  async #guess(
    password: string,
    address: string,
  ): Promise<{ readonly kind: 'in'; readonly cookie: string } | Exclude<LoginResult, { kind: 'in' }>> {
    const wait = this.#lockout.wait(address, this.#clock());
    if (wait > 0) return { kind: 'locked', seconds: Math.ceil(wait / 1000) };
    const kept = this.#kept();
    if (this.#guessing >= guessesAtOnce) return { kind: 'locked', seconds: 1 };
    this.#guessing++;
    try {
      if (kept !== null && (await matchesPassword(password, kept))) {
        this.#lockout.right(address);
        return { kind: 'in', cookie: '' };
      }
    } finally {
      this.#guessing--;
    }
    const locked = this.#lockout.wrong(address, this.#clock());
    await this.#database.write(() => {
      this.#append('auth.login.failed', 'operator', address, 'A wrong password was given.');
      if (locked > 0) {
        const seconds = Math.round(locked / 1000);
        const summary = `${address} may not try passwords for ${seconds} s.`;
        this.#append('auth.locked', 'system', address, summary, { seconds });
      }
    });
    return { kind: 'wrong' };
  }

  #session(cookie: string): Principal | null {
    const session = this.#sessions.get(cookie) ?? this.#keptSession(cookie);
    const now = this.#clock();
    if (session === null || session.expiresAt <= now) return null;
    const { key } = session;
    const renew = Math.abs(now - session.usedAt) > usedGrain;
    if (renew) {
      session.usedAt = now;
      session.expiresAt = now + this.#config.sessionSeconds * 1000;
      const { usedAt, expiresAt } = session;
      this.#quietly(() => {
        this.#database
          .prepare('UPDATE sessions SET used_at = ?, expires_at = ? WHERE hash = ?')
          .run(usedAt, expiresAt, key);
      });
    }
    return { kind: 'session', id: key.slice(0, 16), actor: 'operator', scope: 'admin', renew };
  }

  #keptSession(cookie: string) {
    const key = this.#sessionHash(cookie);
    const row = this.#database.prepare('SELECT used_at, expires_at FROM sessions WHERE hash = ?').get(key);
    if (!row) return null;
    const session = { key, usedAt: Number(row.used_at), expiresAt: Number(row.expires_at) };
    if (this.#sessions.size >= mostKnown) this.#sessions.clear();
    this.#sessions.set(cookie, session);
    return session;
  }

  #token(bearer: string): Principal | null {
    const token = this.#bearers.get(bearer) ?? this.#keptToken(bearer);
    const now = this.#clock();
    if (token === null || (token.expiresAt !== null && token.expiresAt <= now)) return null;
    const { id, name, scope } = token;
    if (Math.abs(now - token.usedAt) > usedGrain) {
      token.usedAt = now;
      this.#quietly(() => {
        this.#database.prepare('UPDATE tokens SET used_at = ? WHERE id = ?').run(now, id);
      });
    }
    return { kind: 'token', id, actor: `token:${name}`, scope, renew: false };
  }

  #keptToken(bearer: string) {
    const row = this.#database
      .prepare('SELECT id, name, scope, expires_at, used_at FROM tokens WHERE hash = ?')
      .get(hash('sha256', bearer));
    if (!row) return null;
    const token = {
      id: String(row.id),
      name: String(row.name),
      scope: scopeOf(row.scope),
      expiresAt: row.expires_at === null ? null : Number(row.expires_at),
      usedAt: Number(row.used_at ?? 0),
    };
    if (this.#bearers.size >= mostKnown) this.#bearers.clear();
    this.#bearers.set(bearer, token);
    return token;
  }

  /** A note of use must not make a request fail. */
  #quietly(work: () => void): void {
    this.#database.write(work).catch(() => undefined);
  }

  #sessionHash(cookie: string): string {
    return hash('sha256', `${this.#config.sessionSecret ?? ''}\n${cookie}`);
  }

  #kept(): string | null {
    const row = this.#database.prepare('SELECT hash FROM passwords').get();
    return row ? String(row.hash) : null;
  }

  async #keep(
    password: string,
    actor: string,
    summary: string,
    address: string | null = null,
  ): Promise<void> {
    const kept = await hashPassword(password);
    await this.#database.write(() => {
      this.#forget();
      this.#database
        .prepare('INSERT OR REPLACE INTO passwords (one, hash, changed_at) VALUES (1, ?, ?)')
        .run(kept, this.#clock());
      this.#database.prepare('DELETE FROM sessions').run();
      this.#append('auth.password.changed', actor, address, summary);
    });
  }

  #append(
    kind: string,
    actor: string,
    address: string | null,
    summary: string,
    details?: Readonly<Record<string, unknown>>,
  ): void {
    this.#events.append({
      kind,
      subject: ['auth', 'operator'],
      actor,
      address,
      summary,
      ...(details ? { details } : {}),
    });
  }
}

function scopeOf(value: unknown): Scope {
  return scopes.find((scope) => scope === value) ?? 'read';
}
