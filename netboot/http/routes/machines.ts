import { Readable } from 'node:stream';
import {
  type Machine,
  type MachineQuery,
  MachineUpsert,
  machineOperations,
} from '../../../shared/contract/machine.ts';
import { normalMac } from '../../../shared/machine/mac.ts';
import { type Conditions, unknownMachine } from '../../machines/machines.ts';
import { etagOf, type MachineRecord, wireTime } from '../../machines/record.ts';
import { objectIn } from '../../store/json.ts';
import { checked } from '../check.ts';
import { Problem } from '../problem.ts';
import { type Answer, type Call, empty, handled, json, redirect, serve, text } from '../route.ts';
import type { Routes } from '../server.ts';
import { actorOf } from './access.ts';

export const machineRoutes: Routes = (app, services) => {
  const { machines } = services;
  const answer = (record: MachineRecord): Answer =>
    text(machines.store.wireOf(record), 'application/json', 200, { etag: etagOf(record) });

  serve(app, services, machineOperations.list, ({ query, host, secure, reply }) => {
    const { limit, after, ...filter } = query;
    if (limit !== undefined) {
      const page = [...machines.store.listWire(filter, after ?? null, limit + 1)];
      const rows = page.slice(0, limit);
      const headers: Record<string, string> = { 'x-total-count': String(machines.store.count(filter)) };
      const last = page.length > limit ? rows.at(-1) : undefined;
      if (last !== undefined)
        headers.link = `<${secure ? 'https' : 'http'}://${host}/machines?${nextPage(query, (JSON.parse(last) as Machine).mac)}>; rel="next"`;
      return text(`[${rows.join(',')}]`, 'application/json', 200, headers);
    }
    reply.header('content-type', 'application/json');
    void reply.send(Readable.from(pieces(machines.store.listText(filter, after ?? null))));
    return handled;
  });

  serve(app, services, machineOperations.get, ({ params }) => {
    const mac = macOf(params);
    const record = machines.store.get(mac);
    if (record === null) throw unknownMachine(mac);
    return answer(record);
  });

  serve(app, services, machineOperations.put, async (call) => {
    const mac = macOf(call.params);
    return answer(await machines.save(mac, call.body, 'replace', conditionsOf(call), authorOf(call)));
  });

  serve(app, services, machineOperations.patch, async (call) => {
    const mac = macOf(call.params);
    return answer(await machines.save(mac, call.body, 'patch', conditionsOf(call), authorOf(call)));
  });

  serve(app, services, machineOperations.delete, async (call) => {
    const mac = macOf(call.params);
    if (!(await machines.delete(mac, conditionsOf(call), authorOf(call)))) throw unknownMachine(mac);
    return empty();
  });

  serve(app, services, machineOperations.inventory, ({ params }) => {
    const mac = macOf(params);
    const found = machines.store.inventory(mac);
    const inventory = found && objectIn(found.document);
    if (!inventory) throw new Problem(404, `no inventory of ${mac}`);
    return json({ taken_at: wireTime(found.takenAt), inventory });
  });

  serve(app, services, machineOperations.act, async (call) => {
    const { body } = call;
    if (body.macs === undefined && body.labels === undefined)
      throw new Problem(422, [
        { type: 'missing', loc: ['body', 'macs'], msg: 'Either macs or labels is required', input: body },
      ]);
    if (body.macs === undefined && Object.keys(body.labels ?? {}).length === 0)
      throw new Problem(422, [
        { type: 'too_short', loc: ['body', 'labels'], msg: 'No labels mean every machine', input: body },
      ]);
    if (body.action === 'set-policy' && body.boot_policy === undefined)
      throw new Problem(422, [
        { type: 'missing', loc: ['body', 'boot_policy'], msg: 'Field required', input: body },
      ]);
    if (body.action === 'set-image' && body.image_sha256 === undefined)
      throw new Problem(422, [
        { type: 'missing', loc: ['body', 'image_sha256'], msg: 'Field required', input: body },
      ]);
    const macs = body.macs === undefined ? null : body.macs.map((mac) => macFrom(mac));
    return json(await machines.act(macs, body, authorOf(call)));
  });

  serve(app, services, machineOperations.uiSave, async (call) => {
    if (call.principal === null) return redirect('/ui/login');
    requireOperate(call);
    const mac = normalMac(call.params.mac ?? '');
    const back = (problem: string) =>
      redirect(
        `/ui/machines/${encodeURIComponent(mac ?? call.params.mac ?? '')}?error=${encodeURIComponent(problem)}`,
      );
    if (mac === null) return back('This is no MAC address.');
    try {
      const body = checked<MachineUpsert>(
        MachineUpsert,
        fromForm(call.body as Readonly<Record<string, unknown>>),
        'body',
      );
      await machines.save(mac, body, 'replace', null, authorOf(call));
    } catch (error) {
      if (error instanceof Problem) return back(error.message);
      throw error;
    }
    return redirect('/ui/machines');
  });

  serve(app, services, machineOperations.uiDelete, async (call) => {
    if (call.principal === null) return redirect('/ui/login');
    requireOperate(call);
    const mac = normalMac(call.params.mac ?? '');
    if (mac !== null) await machines.delete(mac, null, authorOf(call));
    return redirect('/ui/machines');
  });
};

/** The MAC of the path, in its normal form. Throws the 400 of the contract. */
export function macOf(params: Readonly<Record<string, string>>): string {
  return macFrom(params.mac ?? '');
}

function macFrom(raw: string): string {
  const mac = normalMac(raw);
  if (mac === null) throw new Problem(400, `invalid MAC: ${pythonText(raw.slice(0, 200))}`);
  return mac;
}

/** `text` in the quotes of the contract (3.1): single ones, double ones where it holds a single one. */
function pythonText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are spelled out
    .replaceAll(/[\x00-\x1f\x7f]/g, (letter) => `\\x${letter.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `${quote}${quote === "'" ? escaped.replaceAll("'", "\\'") : escaped}${quote}`;
}

function authorOf(call: Call) {
  return { actor: actorOf(call), address: call.address };
}

function conditionsOf({ request }: Pick<Call, 'request'>): Conditions {
  const { headers } = request;
  return { ifMatch: headers['if-match'] ?? null, ifNoneMatch: headers['if-none-match'] ?? null };
}

function requireOperate({ principal }: Pick<Call, 'principal'>): void {
  if (principal?.scope === 'read') throw new Problem(403, 'this token may read; the form needs operate');
}

/** Fields of the form; one that is left empty is not set. */
function fromForm(form: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const names = ['image_sha256', 'provisioning_mode', 'hostname', 'cijoe_task_ref', 'boot_policy'];
  const given = names.flatMap((name) => {
    const value = form[name];
    return typeof value === 'string' && value.trim() !== '' ? [[name, value.trim()] as const] : [];
  });
  return Object.fromEntries(given);
}

function nextPage(query: MachineQuery, after: string): string {
  const next = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, after })) {
    if (value !== undefined) next.set(name, String(value));
  }
  return next.toString();
}

/** The list as JSON in pieces, so that memory does not grow with it. */
function* pieces(texts: Iterable<Uint8Array>): Generator<Uint8Array> {
  let separator = '[';
  for (const text of texts) {
    yield Buffer.from(separator);
    yield text;
    separator = ',';
  }
  yield Buffer.from(separator === '[' ? '[]' : ']');
}
