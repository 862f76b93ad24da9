import type { FastifyInstance } from 'fastify';
import { type DhcpSettings, dhcpOperations } from '../../../shared/contract/dhcp.ts';
import { formOperations } from '../../../shared/contract/form.ts';
import { imageOperations } from '../../../shared/contract/image.ts';
import { jobOperations } from '../../../shared/contract/job.ts';
import type { Operation } from '../../../shared/contract/operation.ts';
import { html, page } from '../html.ts';
import { type Answer, type Call, redirect, serve, text } from '../route.ts';
import type { Routes } from '../server.ts';

export const formRoutes: Routes = (app, services) => {
  serve(app, services, formOperations.catalogEntry, async (call) => {
    if (call.principal === null) return redirect('/ui/login');
    const { image_url = '', sha_url = '' } = call.body;
    const body = { image_url, sha_url: sha_url === '' ? null : sha_url };
    const { problem } = await forwarded(app, call, imageOperations.addEntry, body);
    return redirect(problem === null ? '/ui/images' : `/ui/images?error=${encodeURIComponent(problem)}`);
  });

  serve(app, services, formOperations.fetchRelease, async (call) => {
    if (call.principal === null) return redirect('/ui/login');
    const tag = call.body.tag?.trim() || 'latest';
    const { problem } = await forwarded(app, call, jobOperations.release, { tag });
    return told('Boot files', problem ?? `The release ${tag} is being fetched.`, problem !== null);
  });

  serve(app, services, formOperations.activate, async (call) => {
    if (call.principal === null) return redirect('/ui/login');
    const name = call.body.interface ?? '';
    const current = await forwarded(app, call, dhcpOperations.settings);
    const settings = (current.problem === null ? current.value : { interfaces: [] }) as DhcpSettings;
    const others = settings.interfaces.filter((one) => one.interface !== name);
    const next = { ...settings, interfaces: [...others, { interface: name, mode: 'proxy' }] };
    const { problem } = await forwarded(app, call, dhcpOperations.configure, next);
    return told(
      'Settings',
      problem ?? `PXE is answered on ${name}, beside its DHCP server.`,
      problem !== null,
    );
  });
};

function told(title: string, sentence: string, failed: boolean): Answer {
  const role = failed ? html`<p role="alert">${sentence}</p>` : html`<p role="status">${sentence}</p>`;
  return text(page(`bty: ${title}`, html`<main><h1>${title}</h1>${role}</main>`), 'text/html; charset=utf-8');
}

interface Forwarded {
  readonly value: unknown;
  /** Why it was refused, null when it was not. */
  readonly problem: string | null;
}

/** Does `operation` for whoever sent the form, by the same door, checks and events. */
async function forwarded(
  app: FastifyInstance,
  { request, address, host }: Call,
  operation: Operation,
  body?: unknown,
): Promise<Forwarded> {
  const { cookie, authorization } = request.headers;
  const answer = await app.inject({
    method: operation.method,
    url: operation.path,
    remoteAddress: address,
    headers: { host, ...(cookie ? { cookie } : {}), ...(authorization ? { authorization } : {}) },
    ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
  });
  const value: unknown = answer.body === '' ? null : JSON.parse(answer.body);
  if (answer.statusCode < 400) return { value, problem: null };
  const detail = typeof value === 'object' && value !== null && 'detail' in value ? value.detail : null;
  if (typeof detail === 'string') return { value, problem: detail };
  const faults = Array.isArray(detail) ? (detail as { loc?: unknown[]; msg?: unknown }[]) : [];
  const sentences = faults.map(({ loc = [], msg }) => `${loc.slice(1).join('.')}: ${String(msg)}`);
  return { value, problem: sentences.join('; ') || `refused (${answer.statusCode})` };
}
