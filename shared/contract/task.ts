/** Tasks over HTTP: what ran on machines after a flash, the task files, the appliance's key (bty-contract 4). */
import { type Static, type TSchema, Type } from 'typebox';
import { TaskFault } from '../task/file.ts';
import { operations } from './operation.ts';

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);
/** Seconds since 1970. */
const seconds = nullable(Type.Number());
const literals = <const Word extends string>(...words: readonly Word[]) =>
  Type.Unsafe<Word>({ type: 'string', enum: [...words] });

export const TaskStatus = literals('running', 'completed', 'cancelled', 'failed');
export type TaskStatus = Static<typeof TaskStatus>;
export const TaskStage = literals(
  /** For the machine to come up as the flashed system. */
  'waiting',
  /** For other tasks: it is reachable. */
  'queued',
  'running',
  'ended',
);
export type TaskStage = Static<typeof TaskStage>;

export const StepState = Type.Object({
  name: Type.String(),
  /** The built-in that does it. */
  uses: Type.String(),
  status: literals('pending', 'running', 'completed', 'failed', 'cancelled', 'skipped'),
  /** Of the last command; null where none ended. */
  exit_code: nullable(Type.Integer()),
  started_at: seconds,
  /** Seconds it took. */
  duration: nullable(Type.Number()),
  error: nullable(Type.String()),
});
export type StepState = Static<typeof StepState>;

export const TaskState = Type.Object({
  mac: Type.String(),
  task_ref: Type.String(),
  target_ip: nullable(Type.String()),
  status: TaskStatus,
  started_at: seconds,
  finished_at: seconds,
  error: nullable(Type.String()),
  returncode: nullable(Type.Integer()),
  run_dir: Type.String(),
  /** Ours, from here on. */
  id: Type.Integer(),
  stage: TaskStage,
  /** What it waits for or does, as a sentence. */
  doing: nullable(Type.String()),
  code: nullable(Type.String()),
  advice: nullable(Type.String()),
  /** Version of the task file; null for one that is named by its path. */
  version: nullable(Type.Integer()),
  /** `flash` or `operator`. */
  trigger: literals('flash', 'operator'),
  user: Type.String(),
  host_key: nullable(
    Type.Object({
      fingerprint: Type.String(),
      /** The one of this flash that it should have been; null when it is that one. */
      expected: nullable(Type.String()),
      /** The one before this flash, null when there was none. */
      previous: nullable(Type.String()),
    }),
  ),
  steps: Type.Array(StepState),
  /** Bytes that the machine wrote, and how many of them were not kept. */
  output_bytes: Type.Integer(),
  output_dropped: Type.Integer(),
});
export type TaskState = Static<typeof TaskState>;

/** A piece of the kept output. */
export const TaskOutput = Type.Object({
  /** Seconds since 1970. */
  at: Type.Number(),
  /** Index of the step, -1 before the first. */
  step: Type.Integer(),
  /** What the machine wrote, or what bty says of it. */
  stream: literals('stdout', 'stderr', 'bty'),
  text: Type.String(),
});
export type TaskOutput = Static<typeof TaskOutput>;

export const taskNamePattern = '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$';
export const TaskFile = Type.Object({
  name: Type.String(),
  version: Type.Integer(),
  /** First line of `doc`. */
  summary: Type.String(),
  steps: Type.Integer(),
  saved_at: Type.String(),
  saved_by: Type.String(),
});
export type TaskFile = Static<typeof TaskFile>;
export const TaskFileText = Type.Intersect([TaskFile, Type.Object({ text: Type.String() })]);

export const Validation = Type.Object({
  valid: Type.Boolean(),
  faults: Type.Array(TaskFault),
  steps: Type.Array(Type.Object({ name: Type.String(), uses: Type.String(), line: Type.Integer() })),
});
export type Validation = Static<typeof Validation>;

export const TaskKey = Type.Object({
  /** A line for `authorized_keys`. */
  public: Type.String(),
  fingerprint: Type.String(),
  path: Type.String(),
});
export type TaskKey = Static<typeof TaskKey>;

/** Most bytes of a file that tasks may put on machines. */
export const mostPutBytes = 64 * 1024 * 1024;
export const PutFile = Type.Object({
  name: Type.String(),
  size_bytes: Type.Integer(),
  changed_at: Type.String(),
});
export type PutFile = Static<typeof PutFile>;

const TaskText = Type.Object({ text: Type.String({ maxLength: 65_536 }) }, { additionalProperties: false });
const RunRequest = Type.Object(
  {
    /** Instead of the one that is set for the machine. */
    task_ref: Type.Optional(Type.String({ minLength: 1, maxLength: 4096, pattern: '^[^\\u0000\\r\\n]*$' })),
  },
  { additionalProperties: false },
);
const RunQuery = Type.Object({
  mac: Type.Optional(Type.String({ maxLength: 64 })),
  status: Type.Optional(TaskStatus),
  before_id: Type.Optional(Type.Integer()),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500 })),
});
const ok = <Schema extends TSchema>(sentence: string, schema: Schema) =>
  ({ 200: { sentence, schema } }) as const;
const tooBig = { 422: { sentence: 'It is no valid task: `detail` says where.' } } as const;
const off = { 409: { sentence: 'Tasks are off: the appliance has no key.' } } as const;
const library = '/tasks/library/{name}';

export const taskOperations = operations({
  tasks: {
    name: 'task.list',
    method: 'GET',
    path: '/tasks',
    access: 'read',
    summary: 'The last task of each machine.',
    replies: ok('Newest first, 500 at most.', Type.Object({ tasks: Type.Array(TaskState) })),
  },
  cancel: {
    name: 'task.cancel',
    method: 'DELETE',
    path: '/tasks/{mac}',
    access: 'operate',
    summary: 'Cancel the task of a machine.',
    description:
      'What runs on the machine is ended with its whole process group; the run says what was reached.',
    replies: ok('Its state.', TaskState),
  },
  run: {
    name: 'task.run',
    method: 'POST',
    path: '/machines/{mac}/task',
    access: 'operate',
    summary: 'Run a task on a machine now.',
    description: 'While one runs on that machine, that one is answered.',
    body: { kind: 'json', schema: RunRequest, optional: true },
    replies: { 202: { sentence: 'It waits or runs.', schema: TaskState }, ...off },
  },
  acceptHostKey: {
    name: 'task.accept-host-key',
    method: 'DELETE',
    path: '/machines/{mac}/host-key',
    access: 'operate',
    summary: 'Forget the host key of a machine, so that the next contact tells a new one.',
    replies: { 204: { sentence: 'Forgotten.' } },
  },
  runs: {
    name: 'task.runs',
    method: 'GET',
    path: '/tasks/runs',
    access: 'read',
    summary: 'Runs of tasks, newest first.',
    query: RunQuery,
    replies: ok(
      'A page; the next one is asked for with `before_id`.',
      Type.Object({ runs: Type.Array(TaskState) }),
    ),
  },
  get: {
    name: 'task.get',
    method: 'GET',
    path: '/tasks/runs/{id}',
    access: 'read',
    summary: 'One run.',
    replies: ok('The run.', TaskState),
  },
  output: {
    name: 'task.output',
    method: 'GET',
    path: '/tasks/runs/{id}/output',
    access: 'read',
    summary: 'What the machine wrote, and what bty says of it: a JSON value per line.',
    replies: { 200: { sentence: 'All that was kept.', type: 'application/x-ndjson' } },
  },
  live: {
    name: 'task.live',
    method: 'GET',
    path: '/tasks/runs/{id}/live',
    access: 'read',
    summary: 'The output as server-sent events, while it comes.',
    description:
      '`event: output` carries one piece, with an id by which `Last-Event-ID` goes on; `event: state` the run. After ' +
      'the end of the run the stream says `event: end` and ends.',
    query: Type.Object({ last_event_id: Type.Optional(Type.Integer()) }),
    replies: { 200: { sentence: 'A stream.', type: 'text/event-stream' } },
  },
  report: {
    name: 'task.report',
    method: 'GET',
    path: '/tasks/runs/{id}/report',
    access: 'read',
    summary: 'A run as plain text.',
    replies: { 200: { sentence: 'The report.', type: 'text/plain; charset=utf-8' } },
  },
  junit: {
    name: 'task.junit',
    method: 'GET',
    path: '/tasks/runs/{id}/junit',
    access: 'read',
    summary: 'A run as JUnit XML.',
    replies: { 200: { sentence: 'The report.', type: 'application/xml' } },
  },
  validate: {
    name: 'task.validate',
    method: 'POST',
    path: '/tasks/validate',
    access: 'read',
    summary: 'Check a task file without saving it.',
    body: { kind: 'json', schema: TaskText, bytes: 512 * 1024 },
    replies: ok('Whether it is one, else what is wrong and where.', Validation),
  },
  schema: {
    name: 'task.schema',
    method: 'GET',
    path: '/tasks/schema',
    access: 'read',
    summary: 'JSON Schema of a task file.',
    replies: ok('The schema.', Type.Unknown()),
  },
  files: {
    name: 'task.files',
    method: 'GET',
    path: '/tasks/library',
    access: 'read',
    summary: 'The task files of the registry, by name.',
    replies: ok('The latest version of each.', Type.Object({ tasks: Type.Array(TaskFile) })),
  },
  file: {
    name: 'task.file',
    method: 'GET',
    path: library,
    access: 'read',
    summary: 'A task file of the registry.',
    query: Type.Object({ version: Type.Optional(Type.Integer({ minimum: 1 })) }),
    replies: ok('The latest version, or the one that is asked for.', TaskFileText),
  },
  versions: {
    name: 'task.versions',
    method: 'GET',
    path: `${library}/versions`,
    access: 'read',
    summary: 'The versions of a task file.',
    replies: ok('Newest first.', Type.Object({ versions: Type.Array(TaskFile) })),
  },
  save: {
    name: 'task.save',
    method: 'PUT',
    path: library,
    access: 'operate',
    summary: 'Save a task file as a new version.',
    description: 'A text that is the latest version already makes no new one.',
    body: { kind: 'json', schema: TaskText, bytes: 512 * 1024 },
    replies: { ...ok('The version.', TaskFile), ...tooBig },
  },
  delete: {
    name: 'task.delete',
    method: 'DELETE',
    path: library,
    access: 'operate',
    summary: 'Delete a task file with all of its versions.',
    replies: { 204: { sentence: 'Deleted.' }, 409: { sentence: 'Machines are set to run it.' } },
  },
  putFiles: {
    name: 'task.put-files',
    method: 'GET',
    path: '/tasks/files',
    access: 'read',
    summary: 'Files that `core.put` may put on machines.',
    replies: ok('By name.', Type.Object({ files: Type.Array(PutFile) })),
  },
  savePutFile: {
    name: 'task.save-put-file',
    method: 'PUT',
    path: '/tasks/files/{name}',
    access: 'operate',
    summary: 'Upload a file that `core.put` may put on machines; one of that name is replaced.',
    body: { kind: 'raw' },
    replies: {
      ...ok('The file.', PutFile),
      409: { sentence: 'There are 200 files already.' },
      413: { sentence: 'It is larger than 64 MiB.' },
    },
  },
  deletePutFile: {
    name: 'task.delete-put-file',
    method: 'DELETE',
    path: '/tasks/files/{name}',
    access: 'operate',
    summary: 'Delete a file that `core.put` may put on machines.',
    replies: { 204: { sentence: 'Deleted.' } },
  },
  key: {
    name: 'task.key',
    method: 'GET',
    path: '/tasks/key',
    access: 'read',
    summary: 'The public half of the key with which the appliance logs in.',
    replies: ok('The key; null while there is none, and tasks are off.', nullable(TaskKey)),
  },
  makeKey: {
    name: 'task.make-key',
    method: 'POST',
    path: '/tasks/key',
    access: 'admin',
    summary: 'Make the key of the appliance, which turns tasks on; a key that is there stays.',
    body: { kind: 'ignored' },
    replies: ok('The public half.', TaskKey),
  },
});
