/** A real appliance for tests: its own state directory, a port of the system's choice, loopback only. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Appliance, startAppliance } from './appliance.ts';
import { type Config, keyOf, type SettingName, settingNames, settings } from './config/settings.ts';

export const testPassword = 'correct horse battery';

/** A new directory that goes when the test ends. */
export function temporaryDirectory(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'bty-netboot-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Fallbacks, with what tests need to be otherwise, with `changes`. */
export function testConfig(stateDir: string, changes: Partial<Config> = {}): Config {
  const values: Record<string, unknown> = {};
  for (const name of settingNames) values[name] = settings[name].fallback({ stateDir });
  const needed = { stateDir, webHost: '127.0.0.1', webPort: 0, adminPassword: testPassword };
  const unknown = Object.keys(changes).find((name) => !settingNames.includes(name as SettingName));
  if (unknown !== undefined) throw new Error(`no setting ${keyOf(unknown)}`);
  return { ...(values as unknown as Config), ...needed, ...changes };
}

export interface TestAppliance extends Appliance {
  readonly stateDir: string;
  /** Everything that it logged, a line each. */
  readonly log: readonly string[];
  /** Asks it; redirects are answers. */
  readonly ask: (path: string, init?: RequestInit) => Promise<Response>;
  /** `ask` with an API token of all rights. */
  readonly askAdmin: (path: string, init?: RequestInit) => Promise<Response>;
  /** Logs in as the operator and answers the value of the header `Cookie`. */
  readonly logIn: () => Promise<string>;
  /** Makes an API token. */
  readonly makeToken: (scope: 'read' | 'operate' | 'admin') => Promise<string>;
}

export interface TestOptions {
  readonly stateDir?: string;
  readonly config?: Partial<Config>;
  readonly clock?: () => number;
  /** The system's clock, which may jump. */
  readonly wall?: () => number;
}

let tokens = 0;

/** Starts an appliance that is closed when the test ends. */
export async function startTestAppliance(
  context: TestContext,
  options: TestOptions = {},
): Promise<TestAppliance> {
  const stateDir = options.stateDir ?? temporaryDirectory(context);
  const log: string[] = [];
  const appliance = await startAppliance({
    config: testConfig(stateDir, options.config),
    write: (line) => void log.push(line),
    ...(options.clock ? { clock: options.clock } : {}),
    ...(options.wall ? { wall: options.wall } : {}),
  });
  context.after(() => appliance.close());
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`${appliance.url}${path}`, { redirect: 'manual', ...init });
  const makeToken = async (scope: 'read' | 'operate' | 'admin') => {
    const request = { name: `test-${++tokens}`, scope, expiresAt: null };
    const made = await appliance.services.access.createToken(request, 'test', '127.0.0.1');
    if (made === null) throw new Error('the token exists already');
    return made.token;
  };
  let admin: string | null = null;
  return {
    ...appliance,
    stateDir,
    log,
    ask,
    makeToken,
    askAdmin: async (path, init = {}) => {
      admin ??= await makeToken('admin');
      const headers = new Headers(init.headers);
      headers.set('authorization', `Bearer ${admin}`);
      return ask(path, { ...init, headers });
    },
    logIn: async () => {
      const body = new URLSearchParams({ password: testPassword });
      const response = await ask('/ui/login', { method: 'POST', body });
      await response.arrayBuffer();
      const cookie = /^bty-token=[^;]+/.exec(response.headers.get('set-cookie') ?? '')?.[0];
      if (cookie === undefined) throw new Error(`no session: ${response.status}`);
      return cookie;
    },
  };
}
