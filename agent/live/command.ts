import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { checkMessage, type Status, Ticket, ticketPath } from '../../shared/contract/agent.ts';
import { asFailure, ExitCode, type Failure, failure } from '../../shared/failure.ts';
import type { Command } from '../cli/command.ts';
import { version } from '../version.ts';
import { type AgentOptions, runAgent as live } from './agent.ts';
import { Appliance } from './appliance.ts';
import { parseCommandLine } from './commandline.ts';
import { liveMachine, type Machine, otherMachine } from './machine.ts';
import { failureMessage } from './report.ts';

/** Seconds that a failure stays on the console before the machine starts over. */
const reading = 60;
/** Seconds for which a failure is told that ends the agent: the machine starts over anyway. */
const telling = 30;

/** `bty agent`: follows the appliance's plan for this machine. */
export const runAgent: Command<'agent'> = async (values, { signal }) => {
  const machine = values.live ? await liveMachine() : otherMachine();
  machine.screen.say(`bty ${version}, live system`);
  let shell = false;
  try {
    const boot = parseCommandLine(await readFile(values.commandLine ?? '/proc/cmdline', 'utf8'));
    shell = boot.shell;
    const ticket = await readTicket(values.ticket ?? `/${ticketPath}`);
    machine.screen.say(`Machine ${boot.mac}, appliance ${boot.server}`);
    const onTrouble = (problem: string | null) => machine.screen.say(problem ?? 'The appliance answers.');
    const appliance = new Appliance({
      server: boot.server,
      mac: boot.mac,
      token: ticket?.token ?? null,
      onDate: (date) => void machine.setClock(date),
      onTrouble,
    });
    try {
      const { server, ...facts } = boot;
      const authority = ticket?.ca_fingerprint ?? null;
      const ready = async () => {
        if (!server.startsWith('https:')) return;
        const { trust } = await import('./trust.ts');
        await trust(server, authority, machine, onTrouble, signal);
      };
      const ends = earlierEnds(process.env);
      const options = { appliance, machine, allowLoop: values.allowLoop, signal, ready, ...facts };
      const done = await live(ends === null ? options : { ...options, ends });
      return done ? ExitCode.ok : ExitCode.failed;
    } catch (error) {
      signal.throwIfAborted();
      await tellEnd(asFailure(error), boot.mac, appliance, signal);
      throw error;
    } finally {
      appliance.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    return stopped(asFailure(error), machine, values.live, shell, signal);
  }
};

/** What the first process tells of agents that ended before this one; null when this is the first. */
function earlierEnds({
  BTY_AGENT_ENDS = '',
  BTY_AGENT_CODE = '',
}: NodeJS.ProcessEnv): NonNullable<AgentOptions['ends']> | null {
  if (!/^[1-9]\d{0,5}$/.test(BTY_AGENT_ENDS)) return null;
  return {
    times: Number(BTY_AGENT_ENDS),
    code: /^\d{1,3}$/.test(BTY_AGENT_CODE) ? Number(BTY_AGENT_CODE) : 1,
  };
}

/** The appliance has to know of every failure; what fails because it does not answer or listen cannot be told. */
async function tellEnd(
  found: Failure,
  mac: string,
  appliance: Appliance,
  signal: AbortSignal,
): Promise<void> {
  if (/^APPLIANCE_/.test(found.code)) return;
  const status: Status = {
    ...{ status: 'failed', plan: null, attempt: 1, step: 'preparing', again_in: reading },
    failure: failureMessage(found.report()),
  };
  const patience = { signal, forMilliseconds: telling * 1000 };
  await appliance.post(`/pxe/${mac}/status`, status, patience).catch(() => {});
}

/** Shows why the agent ends; the live system then starts over with a new boot, which brings a new token. */
async function stopped(
  found: Failure,
  machine: Machine,
  isLive: boolean,
  shell: boolean,
  signal: AbortSignal,
): Promise<ExitCode> {
  machine.screen.alarm(found.message, found.advice);
  if (!isLive) return found.exitCode;
  if (shell) await machine.leave('shell');
  else {
    machine.screen.say(`The machine reboots in ${reading} seconds.`);
    await pause(reading * 1000, undefined, { signal });
    await machine.leave('reboot');
  }
  return found.exitCode;
}

/** The ticket of this boot; null where the boot script loaded none. */
async function readTicket(path: string): Promise<Ticket | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return null;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  const checked = checkMessage(Ticket, value);
  if (checked.kind === 'valid') return checked.value;
  throw failure('PLAN_INVALID', {
    server: 'that booted this machine',
    problem: `its ticket: ${checked.problem}`,
  });
}
