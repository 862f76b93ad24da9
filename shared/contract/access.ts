/** Logging in, sessions, API tokens. */
import { type Static, Type } from 'typebox';
import { operations } from './operation.ts';

const ScopeSchema = Type.Union([Type.Literal('read'), Type.Literal('operate'), Type.Literal('admin')]);
const time = Type.String();
const optionalTime = Type.Union([time, Type.Null()]);

export const TokenInfo = Type.Object({
  id: Type.String(),
  name: Type.String(),
  scope: ScopeSchema,
  created_at: time,
  expires_at: optionalTime,
  last_used_at: optionalTime,
});
export type TokenInfo = Static<typeof TokenInfo>;

/** The only answer that holds the token itself. */
export const NewToken = Type.Object({ ...TokenInfo.properties, token: Type.String() });
export const TokenRequest = Type.Object(
  {
    name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,62}$' }),
    scope: ScopeSchema,
    /** Days that it is good, from 1 on; null or absent: until it is deleted. */
    expires_in_days: Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: 36_500 }), Type.Null()])),
  },
  { additionalProperties: false },
);
/** A login that is still good. */
export const SessionInfo = Type.Object({
  id: Type.String(),
  created_at: time,
  last_used_at: time,
  expires_at: time,
  source_ip: Type.Union([Type.String(), Type.Null()]),
  /** The one that asks. */
  current: Type.Boolean(),
});
export type SessionInfo = Static<typeof SessionInfo>;
export const Who = Type.Object({
  kind: Type.Union([Type.Literal('session'), Type.Literal('token')]),
  actor: Type.String(),
  scope: ScopeSchema,
});
export const PasswordChange = Type.Object(
  {
    current: Type.String({ maxLength: 1024 }),
    password: Type.String({ minLength: 8, maxLength: 1024 }),
  },
  { additionalProperties: false },
);

export const accessOperations = operations({
  loginPage: {
    name: 'access.login-page',
    method: 'GET',
    path: '/ui/login',
    access: 'open',
    summary: 'The form to log in; who is logged in is sent to the dashboard.',
    replies: {
      200: { sentence: 'The form.', type: 'text/html; charset=utf-8' },
      303: { sentence: 'To the dashboard.' },
    },
  },
  login: {
    name: 'access.login',
    method: 'POST',
    path: '/ui/login',
    access: 'open',
    summary: 'Log in: the cookie `bty-token` of the answer is the session.',
    body: { kind: 'form', schema: Type.Object({ password: Type.String({ maxLength: 1024 }) }) },
    replies: {
      200: { sentence: 'The password is wrong: the form again.', type: 'text/html; charset=utf-8' },
      303: { sentence: 'Logged in; to the dashboard.' },
      429: { sentence: 'Too many wrong passwords from this address; `Retry-After` says when.' },
    },
  },
  logout: {
    name: 'access.logout',
    method: 'POST',
    path: '/ui/logout',
    access: 'open',
    summary: 'End the session, wherever its cookie was copied to.',
    body: { kind: 'ignored' },
    replies: { 303: { sentence: 'To the form.' } },
  },
  who: {
    name: 'access.who',
    method: 'GET',
    path: '/access/who',
    access: 'read',
    summary: 'Whom the credentials of this request stand for.',
    replies: { 200: { sentence: 'Who it is.', schema: Who } },
  },
  listSessions: {
    name: 'access.list-sessions',
    method: 'GET',
    path: '/access/sessions',
    access: 'admin',
    summary: 'Sessions that are good, the last used first.',
    replies: { 200: { sentence: 'All of them.', schema: Type.Array(SessionInfo) } },
  },
  endSession: {
    name: 'access.end-session',
    method: 'DELETE',
    path: '/access/sessions/{id}',
    access: 'admin',
    summary: 'End one session.',
    replies: { 204: { sentence: 'It is ended.' } },
  },
  endSessions: {
    name: 'access.end-sessions',
    method: 'DELETE',
    path: '/access/sessions',
    access: 'admin',
    summary: 'End every session, also the one that asks.',
    replies: { 204: { sentence: 'All are ended.' } },
  },
  changePassword: {
    name: 'access.change-password',
    method: 'PUT',
    path: '/access/password',
    access: 'admin',
    summary: 'Change the password of the operator; every session ends.',
    body: { kind: 'json', schema: PasswordChange },
    replies: {
      204: { sentence: 'Changed.' },
      403: { sentence: 'The current password is wrong.' },
      429: { sentence: 'Too many wrong passwords.' },
    },
  },
  listTokens: {
    name: 'access.list-tokens',
    method: 'GET',
    path: '/access/tokens',
    access: 'admin',
    summary: 'API tokens, without their secrets.',
    replies: { 200: { sentence: 'All of them.', schema: Type.Array(TokenInfo) } },
  },
  createToken: {
    name: 'access.create-token',
    method: 'POST',
    path: '/access/tokens',
    access: 'admin',
    summary: 'Make an API token; it is told once.',
    body: { kind: 'json', schema: TokenRequest },
    replies: {
      201: { sentence: 'Made.', schema: NewToken },
      409: { sentence: 'There is a token of that name.' },
    },
  },
  deleteToken: {
    name: 'access.delete-token',
    method: 'DELETE',
    path: '/access/tokens/{id}',
    access: 'admin',
    summary: 'Take an API token back.',
    replies: { 204: { sentence: 'It is no longer good.' } },
  },
});
