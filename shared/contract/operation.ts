/**
 * What an operation of the appliance's HTTP interface is. Routes, checks, documentation and clients come from such
 * values (`machine.ts`, `event.ts`, `access.ts`, `image.ts` ...).
 */
import type { TObject, TSchema } from 'typebox';

/**
 * Who may call: anybody; a session or an API token with at least this scope; or the live system of a boot, by its
 * token.
 */
export type Access = 'open' | 'agent' | Scope;
/** Rights of an API token, each with those before it. A session of the operator has all. */
export type Scope = 'read' | 'operate' | 'admin';
export const scopes = ['read', 'operate', 'admin'] as const satisfies readonly Scope[];

/** True when rights of `held` include those of `wanted`. */
export function includes(held: Scope, wanted: Scope): boolean {
  return scopes.indexOf(held) >= scopes.indexOf(wanted);
}

export type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

export type BodyKind =
  /** Checked against the schema; taken with any content type, as curl sends it. */
  | { readonly kind: 'json'; readonly schema: TSchema; readonly optional?: true; readonly bytes?: number }
  | { readonly kind: 'form'; readonly schema: TObject }
  /** Read and thrown away. */
  | { readonly kind: 'ignored' }
  /** Not read: the handler streams it. */
  | { readonly kind: 'raw' };

export interface ReplyForm {
  readonly sentence: string;
  /** Content type; JSON when there is a schema and none is named. */
  readonly type?: string;
  readonly schema?: TSchema;
}

export interface Operation {
  /** Names it for ever: `machine.put`. */
  readonly name: string;
  readonly method: Method;
  /** `{name}` stands for one segment, `{name...}` at the end for all that is left. */
  readonly path: string;
  readonly access: Access;
  /** True: machines need it while they boot, so it is served on the boot address too. */
  readonly boot?: true;
  readonly summary: string;
  readonly description?: string;
  readonly query?: TObject;
  readonly body?: BodyKind;
  /** By status. 400, 401, 403, 404, 405, 422 and 500 have the common form of an error and need no schema. */
  readonly replies: Readonly<Record<number, ReplyForm>>;
}

/** Keeps the exact type of `operations` while checking their form. */
export function operations<const Table extends Readonly<Record<string, Operation>>>(table: Table): Table {
  return table;
}
