/**
 * The stage of polkitstage.ts for a program of another folder, which speaks to it in lines of JSON. Its one argument is
 * the program that may ask for permission. It ends with its standard input.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Agent, asker, denied, endWhole, password, Stage, type User } from './polkitstage.ts';

/** What can be asked of it; each line is answered by one line. */
interface Wish {
  /** Has an agent of this user answer for the process `pid`, and `closes` the question at once where that is wanted. */
  readonly agent?: string;
  readonly pid?: number;
  readonly closes?: boolean;
  /** Waits until the agent waits for a password. */
  readonly asking?: boolean;
  /** Types this. */
  readonly text?: string;
  /** Ends the agent. */
  readonly end?: boolean;
}

const users: readonly User[] = [asker, denied];
const say = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`);

await Stage.run(async (stage) => {
  let agent: Agent | null = null;
  let closing: ChildProcess | null = null;
  say({ users: users.map((user) => ({ ...user, words: stage.as(user) })), password });
  for await (const line of createInterface({ input: process.stdin })) {
    const wish = JSON.parse(line) as Wish;
    const user = users.find(({ name }) => name === wish.agent);
    if (user && wish.closes) {
      const script = join(import.meta.dirname, 'dismiss.py');
      const [program = '', ...words] = stage.as(user, '/usr/bin/python3', script, `${wish.pid}`);
      const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] });
      closing = child;
      await once(child.stdout, 'data');
    } else if (user) {
      agent = new Agent(stage, user, wish.pid ?? 0);
      await agent.ready();
    }
    if (wish.asking) await agent?.asking();
    if (wish.text !== undefined) agent?.type(wish.text);
    if (wish.end) {
      await agent?.gone();
      if (closing) await endWhole(closing);
      agent = null;
      closing = null;
    }
    say({ text: agent?.text ?? '' });
  }
}, process.argv[2]);
process.exit(0);
