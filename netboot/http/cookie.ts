/** The session cookie, in the form of bty-contract 3.3. */
import type { Config } from '../config/settings.ts';

export const cookieName = 'bty-token';

export function sessionCookie(value: string, config: Config, secure: boolean): string {
  const age = `Max-Age=${config.sessionSeconds}`;
  return `${cookieName}=${value}; path=/; ${age}; httponly; samesite=strict${secure ? '; secure' : ''}`;
}

/** Makes the browser forget the cookie. */
export function deletionCookie(secure: boolean): string {
  const gone = 'expires=Thu, 01 Jan 1970 00:00:00 GMT';
  return `${cookieName}=null; path=/; ${gone}; httponly; samesite=strict${secure ? '; secure' : ''}`;
}
