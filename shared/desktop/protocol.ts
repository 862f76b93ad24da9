/**
 * What the desktop app and the appliance that it runs (`bty-web desktop`) say to one another: lines of JSON in UTF-8,
 * on the appliance's standard input and output, and on a socket in its state directory that only its user may open.
 * Everything else the app asks over HTTP, as any browser.
 */
import { type Static, Type } from 'typebox';
import { fitting, type Parsed, readObject } from '../helper/protocol.ts';
import { report } from '../helper/reply.ts';

/** Most bytes of a line, its end not counted. */
export const desktopBytes = 64 * 1024;
/** Name of the socket in the state directory. */
export const socketName = 'desktop.sock';

const strict = { additionalProperties: false } as const;

export const DesktopRequest = Type.Union([
  /** Asks for a session of the operator: whoever started the appliance types no password. */
  Type.Object({ kind: Type.Literal('session') }, strict),
  /** Asks for a new password, for browsers elsewhere. It ends every session. */
  Type.Object({ kind: Type.Literal('password') }, strict),
  /** Whether the appliance goes on when the last one who speaks to it has gone. */
  Type.Object({ kind: Type.Literal('stay'), stay: Type.Boolean() }, strict),
  Type.Object({ kind: Type.Literal('stop') }, strict),
]);
export type DesktopRequest = Static<typeof DesktopRequest>;

export const DesktopReply = Type.Union([
  /** The first line: it has its rights, and starts. */
  Type.Object({ kind: Type.Literal('begun'), pid: Type.Integer({ minimum: 1 }) }, strict),
  Type.Object(
    {
      kind: Type.Literal('listening'),
      pid: Type.Integer({ minimum: 1 }),
      version: Type.String({ maxLength: 100 }),
      /** Address of the appliance on this machine. */
      url: Type.String({ pattern: '^http://127\\.0\\.0\\.1:[0-9]{1,5}$' }),
      stay: Type.Boolean(),
      interface: Type.String({ maxLength: 15 }),
      mode: Type.Union([Type.Literal('off'), Type.Literal('proxy'), Type.Literal('full')]),
      imageFolder: Type.String({ maxLength: 4096 }),
    },
    strict,
  ),
  /** Value of the session's cookie. */
  Type.Object(
    { kind: Type.Literal('session'), cookie: Type.String({ pattern: '^[A-Za-z0-9_-]{20,200}$' }) },
    strict,
  ),
  Type.Object(
    { kind: Type.Literal('password'), password: Type.String({ minLength: 8, maxLength: 200 }) },
    strict,
  ),
  /** The last line: why it does not start. */
  Type.Object({ kind: Type.Literal('failed'), failure: report }, strict),
]);
export type DesktopReply = Static<typeof DesktopReply>;

export function parseDesktopRequest(line: string): Parsed<DesktopRequest> {
  const read = readObject(line);
  return read.kind === 'invalid' ? read : fitting<DesktopRequest>(DesktopRequest, read.value);
}

export function parseDesktopReply(line: string): Parsed<DesktopReply> {
  const read = readObject(line);
  return read.kind === 'invalid' ? read : fitting<DesktopReply>(DesktopReply, read.value);
}

/** The line for `message`, with its end. */
export function desktopLine(message: DesktopRequest | DesktopReply): string {
  return `${JSON.stringify(message)}\n`;
}
