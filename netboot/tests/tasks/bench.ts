/** An appliance with a key, machines that were flashed, and what tests ask about their tasks. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { TaskOutput, TaskState } from '../../../shared/contract/task.ts';
import type { Config } from '../../config/settings.ts';
import { bootLive, doneOf, image, installLive, putMachine } from '../../machines/testing.ts';
import { until } from '../../testing/files.ts';
import { startTestAppliance, type TestAppliance } from '../../testing.ts';

export interface Bench extends TestAppliance {
  /** Public half of the appliance's key. */
  readonly key: string;
  readonly call: (
    method: string,
    path: string,
    body?: unknown,
  ) => Promise<{ status: number; value: unknown }>;
}

export async function startBench(
  context: TestContext,
  config: Partial<Config> = {},
  stateDir?: string,
): Promise<Bench> {
  const appliance = await startTestAppliance(context, {
    ...(stateDir === undefined ? {} : { stateDir }),
    config: { taskWaitSeconds: 60, taskLoginSeconds: 2, ...config },
  });
  installLive(appliance.stateDir);
  const call: Bench['call'] = async (method, path, body) => {
    const answer = await appliance.askAdmin(path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.startsWith('application/json') === true;
    return { status: answer.status, value: isJson ? JSON.parse(text) : text };
  };
  const made = await call('POST', '/tasks/key');
  assert.equal(made.status, 200);
  return { ...appliance, key: (made.value as { public: string }).public, call };
}

/** `text` in the registry. */
export async function saveTask(bench: Bench, name: string, text: string): Promise<void> {
  const { status, value } = await bench.call('PUT', `/tasks/library/${name}`, { text });
  assert.equal(status, 200, JSON.stringify(value));
}

/** A machine that runs `task` after its flash, and is at `address` then. */
export async function bind(bench: Bench, mac: string, address: string, task: string): Promise<void> {
  await putMachine(bench, mac, {
    image_sha256: image,
    boot_policy: 'flash-once',
    provisioning_mode: 'cijoe-task',
    cijoe_task_ref: task,
    hostname: `box-${mac.slice(-2)}`,
    labels: { 'task-address': address },
  });
}

/** The machine boots the live system, which says that it is done. */
export async function flash(bench: Bench, mac: string): Promise<void> {
  const live = await bootLive(bench, mac);
  const plan = await live.plan();
  assert.equal(plan.kind, 'flash');
  const answer = await live.ask('status', doneOf(plan.id));
  assert.equal(answer.status, 204, `${await answer.text()} ${bench.log.slice(-3).join('')}`);
}

export async function taskOf(bench: Bench, mac: string): Promise<TaskState | null> {
  const { value } = await bench.call('GET', `/tasks/runs?mac=${mac}&limit=1`);
  return (value as { runs: TaskState[] }).runs[0] ?? null;
}

/** The task of the machine, once it has ended. */
export async function ended(bench: Bench, mac: string, seconds = 240): Promise<TaskState> {
  return until(
    `the task of ${mac} ends`,
    async () => {
      const state = await taskOf(bench, mac);
      return state !== null && state.stage === 'ended' ? state : false;
    },
    seconds * 1000,
  );
}

/** The task of the machine, once `holds`. */
export async function reaches(
  bench: Bench,
  mac: string,
  holds: (state: TaskState) => boolean,
  seconds = 240,
): Promise<TaskState> {
  return until(
    `the task of ${mac} gets there`,
    async () => {
      const state = await taskOf(bench, mac);
      return state !== null && holds(state) ? state : false;
    },
    seconds * 1000,
  );
}

export async function outputOf(bench: Bench, id: number): Promise<readonly TaskOutput[]> {
  const text = await (await bench.askAdmin(`/tasks/runs/${id}/output`)).text();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as TaskOutput);
}

/** What the machine wrote on one stream. */
export function wrote(pieces: readonly TaskOutput[], stream: TaskOutput['stream']): string {
  return pieces
    .filter((piece) => piece.stream === stream)
    .map(({ text }) => text)
    .join('');
}

export async function kindsOf(bench: Bench, mac: string): Promise<readonly string[]> {
  const { value } = await bench.call('GET', `/events?subject_id=${mac}&limit=100`);
  return (value as { events: { kind: string }[] }).events.map(({ kind }) => kind).reverse();
}
