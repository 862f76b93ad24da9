/** Tasks: what ran on machines after a flash, the task files, the key. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  mostPutBytes,
  type TaskState,
  taskNamePattern,
  taskOperations,
  type Validation,
} from '../../../shared/contract/task.ts';
import { failure } from '../../../shared/failure.ts';
import { type TaskFault, taskSchema, usesOf } from '../../../shared/task/file.ts';
import { quoted } from '../../images/name.ts';
import { readTask } from '../../tasks/file.ts';
import type { LoadedKey } from '../../tasks/key.ts';
import { wireFile } from '../../tasks/library.ts';
import { outputName } from '../../tasks/output.ts';
import { PutFiles, tooLargeFile } from '../../tasks/putfiles.ts';
import { junitOf, reportOf } from '../../tasks/report.ts';
import { Problem } from '../problem.ts';
import { type Call, empty, handled, json, serve, text } from '../route.ts';
import type { Routes } from '../server.ts';
import { actorOf } from './access.ts';
import { macOf } from './machines.ts';
import { liveOf } from './tasklive.ts';

const authorOf = (call: Call) => ({ actor: actorOf(call), address: call.address });
const namePattern = new RegExp(taskNamePattern);

export const taskRoutes: Routes = (app, services) => {
  const { tasks, events, config } = services;
  const { library, store } = tasks;
  const lastOf = (states: readonly TaskState[]) =>
    states.map(({ id }) => tasks.get(id)).filter((state) => state !== null);

  serve(app, services, taskOperations.tasks, () => json({ tasks: lastOf(store.lasts(500)) }));
  serve(app, services, taskOperations.cancel, async (call) => {
    const mac = macOf(call.params);
    const state = await tasks.cancel(mac, authorOf(call));
    if (state === null) throw failure('JOB_UNKNOWN', { sentence: `no task known for mac ${quoted(mac)}` });
    return json(state);
  });
  serve(app, services, taskOperations.run, async (call) => {
    const mac = macOf(call.params);
    return json(await tasks.run(mac, call.body?.task_ref ?? null, authorOf(call)), 202);
  });
  serve(app, services, taskOperations.acceptHostKey, async (call) => {
    const mac = macOf(call.params);
    if (!(await tasks.acceptHostKey(mac, authorOf(call))))
      throw new Problem(404, `no host key of ${mac} is known`);
    return empty();
  });

  serve(app, services, taskOperations.runs, ({ query }) => {
    const { mac, status = null, before_id = null, limit = 50 } = query;
    const of = mac === undefined ? null : macOf({ mac });
    return json({ runs: lastOf(store.runs({ mac: of, status, before: before_id, limit })) });
  });
  const runOf = ({ params }: Pick<Call, 'params'>): TaskState => {
    const raw = params.id ?? '';
    const state = /^\d{1,15}$/.test(raw) ? tasks.get(Number(raw)) : null;
    if (state === null) throw new Problem(404, `no run ${raw.slice(0, 40)}`);
    return state;
  };
  serve(app, services, taskOperations.get, (call) => json(runOf(call)));
  serve(app, services, taskOperations.output, async (call) => {
    const file = join(runOf(call).run_dir, outputName);
    call.reply.header('content-type', 'application/x-ndjson').header('cache-control', 'no-store');
    if (!existsSync(file) || call.request.method === 'HEAD') return text('', 'application/x-ndjson');
    const { createReadStream } = await import('node:fs');
    void call.reply.send(createReadStream(file));
    return handled;
  });
  serve(app, services, taskOperations.live, (call) => liveOf(services, call, runOf(call)));
  serve(app, services, taskOperations.report, (call) => {
    return text(reportOf(runOf(call)), 'text/plain; charset=utf-8', 200, downloaded(runOf(call), 'txt'));
  });
  serve(app, services, taskOperations.junit, (call) => {
    return text(junitOf(runOf(call)), 'application/xml', 200, downloaded(runOf(call), 'xml'));
  });

  serve(app, services, taskOperations.validate, ({ body }) => json(validationOf(body.text)));
  serve(app, services, taskOperations.schema, () => json(taskSchema));
  serve(app, services, taskOperations.files, () => json({ tasks: store.files().map(wireFile) }));
  serve(app, services, taskOperations.file, ({ params, query }) => {
    const name = nameIn(params);
    const row = store.file(name, query.version ?? null);
    if (row === null) throw unknownFile(name);
    return json({ ...wireFile(row), text: row.text });
  });
  serve(app, services, taskOperations.versions, ({ params }) => {
    const name = nameIn(params);
    const versions = store.versions(name).map(wireFile);
    if (versions.length === 0) throw unknownFile(name);
    return json({ versions });
  });
  serve(app, services, taskOperations.save, async (call) => {
    const name = nameIn(call.params);
    const saved = await library.save(name, call.body.text, actorOf(call), ({ version, steps }) => {
      events.append({
        kind: 'task.saved',
        subject: ['task', name],
        ...authorOf(call),
        summary: `The task ${name} was saved as version ${version}.`,
        details: { version, steps },
      });
    });
    if (saved.kind === 'invalid') throw new Problem(422, faultsOf(saved.faults));
    return json(saved.file);
  });
  serve(app, services, taskOperations.delete, async (call) => {
    const name = nameIn(call.params);
    const deleted = await services.database.write(() => {
      const machines = store.users(name);
      if (machines > 0) throw failure('TASK_IN_USE', { name, machines });
      if (!store.deleteFile(name)) return false;
      events.append({
        kind: 'task.deleted',
        subject: ['task', name],
        ...authorOf(call),
        summary: `The task ${name} was deleted.`,
      });
      return true;
    });
    if (!deleted) throw unknownFile(name);
    return empty();
  });

  const files = new PutFiles(config.taskFilesDir);
  const changedFile = (call: Call, kind: string, name: string, summary: string) =>
    events.record({ kind, subject: ['task', name], ...authorOf(call), summary });
  serve(app, services, taskOperations.putFiles, async () => json({ files: await files.list() }));
  serve(app, services, taskOperations.savePutFile, async (call) => {
    const { name = '' } = call.params;
    const { raw } = call.request;
    if (Number(raw.headers['content-length'] ?? 0) > mostPutBytes) throw tooLargeFile();
    const file = await files.save(name, raw);
    await changedFile(call, 'task.file.uploaded', name, `The file ${name} for tasks was uploaded.`);
    return json(file);
  });
  serve(app, services, taskOperations.deletePutFile, async (call) => {
    const { name = '' } = call.params;
    await files.delete(name);
    await changedFile(call, 'task.file.deleted', name, `The file ${name} for tasks was deleted.`);
    return empty();
  });

  serve(app, services, taskOperations.key, async () => json(shown(await tasks.key())));
  serve(app, services, taskOperations.makeKey, async (call) =>
    json(shown(await tasks.makeKey(authorOf(call)))),
  );
};

/** The public half only. */
function shown(key: LoadedKey | null) {
  return key === null ? null : { public: key.public, fingerprint: key.fingerprint, path: key.path };
}

function nameIn(params: Readonly<Record<string, string>>): string {
  const name = params.name ?? '';
  if (!namePattern.test(name)) throw new Problem(400, `bad name: ${quoted(name.slice(0, 200))}`);
  return name;
}

function unknownFile(name: string): Problem {
  return new Problem(404, `no task named ${quoted(name)}`);
}

function validationOf(given: string): Validation {
  const read = readTask(given);
  if (read.kind === 'invalid') return { valid: false, faults: [...read.faults], steps: [] };
  const steps = read.task.steps.map((step) => ({ name: step.name, uses: usesOf(step), line: step.line }));
  return { valid: true, faults: [], steps };
}

/** In the form of a 422; `ctx` says where in the file. */
function faultsOf(faults: readonly TaskFault[]) {
  return faults.map(({ line, column, message }) => ({
    type: 'task_invalid',
    loc: ['body', 'text', line, column],
    msg: `line ${line}, column ${column}: ${message}`,
    ctx: { line, column },
  }));
}

function downloaded({ mac, id }: TaskState, ending: string): Record<string, string> {
  const name = `task-${mac.replaceAll(':', '')}-${id}.${ending}`;
  return { 'content-disposition': `attachment; filename="${name}"`, 'cache-control': 'no-store' };
}
