/**
 * The contract, answer by answer: every status that an operation of shared/contract documents, and those that follow
 * from what it takes, is got by one request over real HTTP. An operation, or a status, without a row is a failure.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { TSchema } from 'typebox';
import { Check, Errors } from 'typebox/value';
import type { Operation, ReplyForm } from '../../shared/contract/operation.ts';
import { allOperations } from '../../shared/contract/operations.ts';
import { accessRows, networkRows, pageRows, systemRows } from './contract/access.ts';
import { imageRows, jobRows, taskRows } from './contract/images.ts';
import { bootRows, eventRows, machineRows, rolloutRows } from './contract/machines.ts';
import { type Ask, announcing, type Rows, type Stage, startStage } from './contract/stage.ts';

const rows: Rows = {
  ...accessRows,
  ...machineRows,
  ...rolloutRows,
  ...imageRows,
  ...jobRows,
  ...taskRows,
  ...eventRows,
  ...networkRows,
  ...bootRows,
  ...systemRows,
  ...pageRows,
};

/** What stands for the segments of a path; nothing of that name is there. */
const concrete = (path: string) =>
  path.replaceAll(/\{mac\}/g, '02:bb:00:00:00:01').replaceAll(/\{[a-z_]+(\.\.\.)?\}/g, 'x');
const huge = 2 ** 40;
/** Only root may take the port that is in the way. */
const ofRoot = new Set(process.getuid?.() === 0 ? [] : ['dhcp.configure 409']);

/** A query that does not fit, null where every one does. */
function badQuery({ query }: Operation): string | null {
  for (const [name, schema] of Object.entries(query?.properties ?? {})) {
    for (const value of ['nonsense', 'x'.repeat(5000)]) {
      // Numbers come as text.
      const isText = (schema as { type?: string }).type === 'string';
      const fits = isText ? Check(schema, value) : false;
      if (!fits) return `?${new URLSearchParams({ [name]: value })}`;
    }
  }
  return null;
}

/** Requests that follow from what the operation is. */
function general(operation: Operation): Readonly<Record<number, Ask>> {
  const { method, access, body } = operation;
  const path = concrete(operation.path);
  const made: Record<number, Ask> = {
    405: (at) => at.open('OPTIONS', path),
  };
  const query = badQuery(operation);
  if (query !== null) made[422] = (at) => at.ask(method, `${path}${query}`);
  if (body?.kind === 'json') made[422] = (at) => at.ask(method, path, '{');
  if (body?.kind === 'json' || body?.kind === 'form' || body?.kind === 'ignored')
    made[413] = (at) => announcing(at, method, path, huge);
  if (access === 'read' || access === 'operate' || access === 'admin')
    made[401] = (at) => at.open(method, path);
  if (access === 'operate' || access === 'admin')
    made[403] = async (at) => {
      const token = await at.appliance.makeToken('read');
      return at.open(method, path, undefined, { authorization: `Bearer ${token}` });
    };
  return made;
}

const documented = (operation: Operation) => Object.keys(operation.replies).map(Number);

/** What a body says does not fit its schema, null when it does. */
function strange(schema: TSchema, value: unknown): string | null {
  if (Check(schema, value)) return null;
  return JSON.stringify(
    [...Errors(schema, value)].slice(0, 3).map(({ instancePath, message }) => [instancePath, message]),
  );
}

async function judge(answer: Response, status: number, form: ReplyForm | undefined): Promise<string | null> {
  const type = answer.headers.get('content-type');
  const isStream = form?.type === 'text/event-stream';
  const text = isStream ? '' : await answer.text();
  if (isStream) await answer.body?.cancel();
  if (answer.status !== status) return `${answer.status} in the place of ${status}: ${text.slice(0, 300)}`;
  // A file has the type of its name.
  const isFile = form?.type === 'application/octet-stream' && type?.startsWith('application/json') === false;
  if (form?.type !== undefined && !isFile && type?.split(';')[0] !== form.type.split(';')[0])
    return `${status} has the type ${type} in the place of ${form.type}`;
  const isJson = type?.startsWith('application/json') === true;
  if (form?.schema !== undefined) {
    if (!isJson) return `${status} has the type ${type} in the place of JSON`;
    const wrong = strange(form.schema, JSON.parse(text));
    if (wrong !== null) return `${status} is not as documented: ${wrong} ${text.slice(0, 300)}`;
  }
  if (status >= 400 && form?.schema === undefined && form?.type === undefined && isJson && text !== '{}') {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    if (typeof detail !== 'string' && !Array.isArray(detail)) return `${status} tells no detail: ${text}`;
  }
  if (status === 204 && text !== '') return '204 has a body';
  if (status === 303 && answer.headers.get('location') === null) return '303 leads nowhere';
  return null;
}

test('every operation has a row for every status that it documents, and no row is left over', () => {
  const missing: string[] = [];
  for (const operation of allOperations) {
    const own = rows[operation.name] ?? {};
    const all = new Set([...Object.keys(own), ...Object.keys(general(operation))].map(Number));
    for (const status of documented(operation))
      if (!(status in own)) missing.push(`${operation.name} ${status}`);
    const names = /\{/.test(operation.path) && operation.name !== 'ui.page';
    const isLost = [400, 404, 422].some((status) => all.has(status));
    if (names && !isLost && !operation.name.startsWith('machine.ui-'))
      missing.push(`${operation.name}: what it says where there is none of that name`);
  }
  assert.deepEqual(missing, []);
  const known = new Set(allOperations.map(({ name }) => name));
  assert.deepEqual(
    Object.keys(rows).filter((name) => !known.has(name)),
    [],
  );
});

async function asked(at: Stage, operation: Operation, status: number, ask: Ask): Promise<string | null> {
  if (ofRoot.has(`${operation.name} ${status}`)) return null;
  try {
    const problem = await judge(await ask(at), status, operation.replies[status]);
    return problem === null ? null : `${operation.name}: ${problem}`;
  } catch (error) {
    return `${operation.name} ${status}: ${String(error)}`;
  }
}

async function judged(
  context: TestContext,
  tableOf: (operation: Operation) => Readonly<Record<number, Ask>>,
) {
  const at = await startStage(context);
  const problems: string[] = [];
  let count = 0;
  for (const operation of allOperations) {
    for (const [status, ask] of Object.entries(tableOf(operation))) {
      const problem = await asked(at, operation, Number(status), ask);
      if (problem !== null) problems.push(problem);
      count++;
    }
  }
  assert.deepEqual(problems, []);
  assert.deepEqual(
    at.appliance.log.filter((line) => line.includes('"fault"')),
    [],
  );
  return count;
}

test('each row gets exactly its status, and the body that is documented', {
  timeout: 1_200_000,
}, async (context) => {
  const count = await judged(context, (operation) => rows[operation.name] ?? {});
  assert.ok(count > allOperations.length);
});

test('whoever is nobody, may too little, sends too much or nonsense gets the status of that everywhere', {
  timeout: 1_200_000,
}, async (context) => {
  await judged(context, general);
});
