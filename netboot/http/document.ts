/** Text of docs/http-api.md, made from the contract and the settings. */
import type { TSchema } from 'typebox';
import type { Operation } from '../../shared/contract/operation.ts';
import { operationGroups } from '../../shared/contract/operations.ts';
import { flagOf, keyOf, settingNames, settings, variableOf } from '../config/settings.ts';

const introduction = `# The appliance over HTTP

Made by \`node build/document.ts\` from \`shared/contract/\`; the same, for programs, is \`GET /openapi.json\`.

Log in with a form and keep the cookie, or make an API token and send it as a bearer:

    curl -c jar -d password=… http://bty-server:8080/ui/login
    curl -b jar -X PUT http://bty-server:8080/machines/aa:bb:cc:dd:ee:ff -d '{"image_sha256":"<sha>","boot_policy":"flash"}'
    curl -b jar http://bty-server:8080/access/tokens -d '{"name":"ci","scope":"operate"}'
    curl -H 'Authorization: Bearer bty_…' http://bty-server:8080/machines

JSON is taken with any content type. An error is \`{"detail": "…"}\`; with 422 \`detail\` is a list of what is wrong and
where. A MAC may be written in any case, with colons or dashes. Every answer has an \`X-Request-Id\` that is in the log too.
Where there is a GET there is a HEAD.

Rights of an API token: \`read\`, \`operate\` (also change machines and images), \`admin\` (also access and settings). A
session has all. Requests that a page of another site causes (\`Origin\`, \`Sec-Fetch-Site\`) are refused.

## What the boot proves, and what it does not

Machines on the wire have no secret before they boot, so what they ask first is open. When the script of a machine is
rendered, a ticket is made for that MAC, that address and that boot; the script names an address that works once, and from
it the machine loads a tiny second initrd with the token. The live system shows the token with everything it says. The
token is never on the kernel command line, is kept as a hash, ends with the next netboot or \`ticket_seconds\` after its last use, and
counts only from the address that fetched the script.

This keeps other machines, browsers and late guests out. It does not keep out whoever owns the wire first: a machine that
forges a MAC before the real one asks is given its boot, and over plain HTTP everyone between may read and change it. Put
machines that are flashed on a network of their own.

\`POST /pxe/{mac}/done\` without a token is taken for compatibility, only from the address that last fetched the script and
while its plan is live; it is marked \`authenticated: false\` in the log, and \`unauthenticated_done = false\` refuses it.
`;

/** The whole document. */
export function httpDocument(): string {
  const groups = operationGroups.map(
    ({ title, operations }) => `## ${title}\n\n${operations.map(described).join('\n')}`,
  );
  return `${introduction}\n${groups.join('\n')}\n${settingsTable()}`;
}

const accesses = {
  open: 'anybody',
  agent: 'the live system of that boot, by its token',
  read: 'session, or token that may read',
  operate: 'session, or token that may operate',
  admin: 'session, or token of an admin',
} as const;

function described(operation: Operation): string {
  const { method, path, summary, description, access, query, body, replies } = operation;
  const lines = [`### \`${method} ${path}\``, '', summary, ''];
  if (description) lines.push(description, '');
  lines.push(
    `- For: ${accesses[access]}.${operation.boot === true ? ' Served on the boot address too.' : ''}`,
  );
  if (query && Object.keys(query.properties).length > 0) lines.push(`- Query: ${code(query)}`);
  if (body?.kind === 'json' || body?.kind === 'form')
    lines.push(`- Body${body.kind === 'form' ? ' (a form)' : ''}: ${code(body.schema)}`);
  else if (body?.kind === 'raw') lines.push('- Body: the bytes.');
  for (const [status, reply] of Object.entries(replies)) {
    const shape = reply.schema ? ` ${code(reply.schema)}` : reply.type ? ` (\`${reply.type}\`)` : '';
    lines.push(`- ${status}: ${reply.sentence}${shape}`);
  }
  return `${lines.join('\n')}\n`;
}

function code(schema: TSchema): string {
  return `\`${shapeOf(schema as Form, 0)}\``;
}

interface Form {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Form[];
  readonly items?: Form;
  readonly properties?: Readonly<Record<string, Form>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, Form>>;
}

/** A schema in the words of TypeScript; what lies deep is only named. */
function shapeOf(form: Form, depth: number): string {
  if (form.anyOf) return form.anyOf.map((member) => shapeOf(member, depth)).join(' | ');
  if (form.enum) return form.enum.map((value) => JSON.stringify(value)).join(' | ');
  if ('const' in form) return JSON.stringify(form.const);
  switch (form.type) {
    case 'array':
      return `[${shapeOf(form.items ?? {}, depth)}, …]`;
    case 'object': {
      const [values] = Object.values(form.patternProperties ?? {});
      if (!form.properties && values) return `{name: ${shapeOf(values, depth + 1)}}`;
      const properties = Object.entries(form.properties ?? {});
      if (depth > 1 && properties.length > 3) return '{…}';
      const told = properties.map(([name, property]) => {
        const optional = form.required?.includes(name) ? '' : '?';
        return `${name}${optional}: ${shapeOf(property, depth + 1)}`;
      });
      return `{${told.join(', ')}}`;
    }
    default:
      return form.type ?? 'anything';
  }
}

function settingsTable(): string {
  const rows = settingNames.map((name) => {
    const { metavar, sentence, otherwise } = settings[name];
    const flag = `\`${flagOf(name)}${metavar === null ? '' : ` ${metavar}`}\``.replaceAll('|', '\\|');
    return `| ${flag} | \`${variableOf(name)}\` | \`${keyOf(name)}\` | ${otherwise.replaceAll('|', '\\|')} | ${sentence} |`;
  });
  return `## Settings

Flags win over the environment, that over \`bty.toml\`, that over the defaults; \`bty-web config\` prints what is in force
and where it came from. \`bty.toml\` is the file of \`--config\` or \`BTY_CONFIG\`, else \`/etc/bty/bty.toml\`, else the one in
the state directory.

| flag | variable | key | default | |
|---|---|---|---|---|
${rows.join('\n')}
`;
}
