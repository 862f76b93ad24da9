import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { checkMessage, Ticket, ticketPath } from '../../shared/contract/agent.ts';
import { asFailure, ExitCode, type Failure, failure } from '../../shared/failure.ts';
import type { Command } from '../cli/command.ts';
import { version } from '../version.ts';
import { runAgent as live } from './agent.ts';
import { Appliance } from './appliance.ts';
import { parseCommandLine } from './commandline.ts';
import { liveMachine, type Machine, otherMachine } from './machine.ts';
import { trust } from './trust.ts';

/** Seconds that a failure stays on the console before the machine starts over. */
const reading = 60;

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
    if (boot.server.startsWith('https:'))
      await trust(boot.server, ticket?.ca_fingerprint ?? null, machine, signal);
    const appliance = new Appliance({
      server: boot.server,
      mac: boot.mac,
      token: ticket?.token ?? null,
      onDate: (date) => machine.setClock(date),
      onTrouble: (problem) => machine.screen.say(problem ?? 'The appliance answers.'),
    });
    try {
      const { server: _server, ...facts } = boot;
      const done = await live({ appliance, machine, allowLoop: values.allowLoop, signal, ...facts });
      return done ? ExitCode.ok : ExitCode.failed;
    } finally {
      appliance.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    return stopped(asFailure(error), machine, values.live, shell, signal);
  }
};

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
