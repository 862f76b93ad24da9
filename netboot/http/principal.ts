import type { Scope } from '../../shared/contract/operation.ts';

/** Who calls. */
export interface Principal {
  readonly kind: 'session' | 'token';
  /** Id of the session or token, never its secret. */
  readonly id: string;
  /** As events name it: `operator`, or the name of the token. */
  readonly actor: string;
  readonly scope: Scope;
  /** True when the cookie is to be sent again, so that it lasts from now on. */
  readonly renew: boolean;
}
