import { type Static, type TSchema, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { ApplianceCheck, MachineShown, StepShown, StoryShown } from '../../../shared/app/appliance.ts';
import { type DhcpSettings, DhcpSettings as DhcpSettingsForm } from '../../../shared/contract/dhcp.ts';
import { failure } from '../../../shared/failure.ts';
import { DhcpStates } from './troubles.ts';

/** Name of the cookie that is the session (docs/http-api.md). */
export const sessionCookie = 'bty-token';
/** Milliseconds that an answer may take. */
const patience = 10_000;
/** Most machines that the window lists without the appliance's own pages. */
const mostMachines = 500;

const text = Type.String({ maxLength: 4096 });
const maybe = Type.Union([text, Type.Null()]);
const Ready = Type.Object({
  checks: Type.Array(Type.Object({ name: text, ok: Type.Boolean(), reason: maybe }), { maxItems: 100 }),
});
const Machines = Type.Array(
  Type.Object({
    mac: text,
    hostname: maybe,
    last_seen_ip: maybe,
    last_seen_at: maybe,
    boot_policy: text,
    state: Type.Object({ phase: text }),
  }),
  { maxItems: mostMachines },
);
const Boots = Type.Array(Type.Object({ id: Type.Integer() }), { maxItems: 100 });
const Story = Type.Object({
  mac: text,
  diagnosis: Type.Object({
    state: Type.Union([
      Type.Literal('running'),
      Type.Literal('done'),
      Type.Literal('stopped'),
      Type.Literal('failed'),
    ]),
    cause: text,
    advice: text,
  }),
  steps: Type.Array(Type.Record(Type.String(), Type.Unknown()), { maxItems: 10_000 }),
});
const Refused = Type.Object({ detail: text });

/** The session is over: a new one must be asked for. */
export class SessionOver extends Error {}

/** Asks an appliance over HTTP, as a browser does. */
export class ApplianceClient {
  readonly #url: string;
  readonly #cookie: string;

  constructor(url: string, cookie: string) {
    this.#url = url;
    this.#cookie = cookie;
  }

  async dhcp(): Promise<DhcpStates> {
    return this.#read('/dhcp', DhcpStates);
  }

  async checks(): Promise<readonly ApplianceCheck[]> {
    const found = await this.#read('/readyz', Ready, [200, 503]);
    return found.checks.map(({ name, ok, reason }) => ({ name, ok, reason }));
  }

  /** True when it brought pages of its own: the page that it shows otherwise is no program. */
  async hasPages(): Promise<boolean> {
    const answer = await this.#ask('/ui/dashboard');
    return answer.ok && (await answer.text()).includes('<script');
  }

  async machines(): Promise<readonly MachineShown[]> {
    const page = await this.#read(`/machines?limit=${mostMachines}`, Machines);
    return page.map((machine) => ({
      mac: machine.mac,
      name: machine.hostname,
      address: machine.last_seen_ip,
      phase: machine.state.phase,
      policy: machine.boot_policy,
      seen: machine.last_seen_at,
    }));
  }

  /** How the machine booted last, null when it never did. */
  async story(mac: string): Promise<StoryShown | null> {
    const [newest] = await this.#read(`/machines/${encodeURIComponent(mac)}/boots?limit=1`, Boots);
    if (!newest) return null;
    const { diagnosis, steps } = await this.#read(`/boots/${newest.id}`, Story);
    const { state, cause, advice } = diagnosis;
    return { mac, state, cause, advice, steps: steps.slice(-500).map(stepOf) };
  }

  /**
   * Has the interface lease the addresses of `pool`, and leaves everything else as it was set. False when the
   * interface is not served yet.
   */
  async setPool(name: string, network: string, pool: { first: string; last: string }): Promise<boolean> {
    const settings: DhcpSettings = await this.#read('/dhcp/settings', DhcpSettingsForm);
    if (!settings.interfaces.some((known) => known.interface === name)) return false;
    const interfaces = settings.interfaces.map((known) => {
      if (known.interface !== name) return known;
      const others = known.subnets?.filter((subnet) => subnet.network !== network) ?? [];
      const own = known.subnets?.find((subnet) => subnet.network === network);
      return { ...known, subnets: [{ ...own, network, pools: [pool] }, ...others] };
    });
    if (JSON.stringify(interfaces) === JSON.stringify(settings.interfaces)) return true;
    const answer = await this.#ask('/dhcp/settings', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...settings, interfaces }),
    });
    if (answer.ok) return true;
    const problem: unknown = await answer.json().catch(() => null);
    const said = Check(Refused, problem) ? problem.detail : `status ${answer.status}`;
    throw failure('DHCP_SETTINGS_INVALID', { interface: name, problem: said });
  }

  async #read<Schema extends TSchema>(
    path: string,
    schema: Schema,
    accepted: readonly number[] = [200],
  ): Promise<Static<Schema>> {
    const answer = await this.#ask(path);
    if (!accepted.includes(answer.status)) throw new Error(`${path} was answered with ${answer.status}`);
    const value: unknown = await answer.json();
    if (!Check(schema, value)) throw new Error(`${path} was answered with something else`);
    return value as Static<Schema>;
  }

  async #ask(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...init.headers, cookie: `${sessionCookie}=${this.#cookie}` };
    const signal = AbortSignal.timeout(patience);
    const answer = await fetch(`${this.#url}${path}`, { ...init, headers, signal, redirect: 'manual' });
    if (answer.status === 401 || answer.status === 303) throw new SessionOver();
    return answer;
  }
}

/** A step of a boot as a line: its kind, and what else it says that is short. */
function stepOf(step: Readonly<Record<string, unknown>>): StepShown {
  const { at, kind, mac, ...rest } = step;
  const said = Object.entries(rest).flatMap(([key, value]) =>
    (typeof value === 'string' && value !== '') || typeof value === 'number' ? [`${key} ${value}`] : [],
  );
  return {
    at: String(at).slice(0, 40),
    kind: String(kind).slice(0, 60),
    detail: said.join(', ').slice(0, 300),
  };
}
