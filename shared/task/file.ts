/**
 * A task: what is done over SSH on a machine that was just flashed. The form of its file is CIJOE's: `doc` and `steps`,
 * each with `name` and either `run` or `uses` and `with`. Only what is listed here is taken.
 */
import { type Static, Type } from 'typebox';

/** Most bytes of a task file. */
export const mostTaskBytes = 32 * 1024;
export const mostSteps = 100;
/** Most commands of one step. */
export const mostCommands = 200;
const mostLetters = 16_384;

const Name = Type.String({
  minLength: 1,
  maxLength: 200,
  description: 'What the step is called in reports.',
});
const Command = Type.String({
  minLength: 1,
  maxLength: mostLetters,
  description: 'A command line for the shell of the user on the machine.',
});
const Path = Type.String({ minLength: 1, maxLength: 1024 });
const Seconds = (description: string) => Type.Integer({ minimum: 1, maximum: 86_400, description });
/** CIJOE names one of several machines by it; here there is one, so it changes nothing. */
const Transport = Type.Optional(
  Type.String({ maxLength: 200, description: 'Read for compatibility; there is one machine only.' }),
);
const closed = { additionalProperties: false } as const;

const CommandArguments = Type.Object(
  { commands: Type.Array(Command, { minItems: 1, maxItems: mostCommands }), transport: Transport },
  closed,
);
const PutArguments = Type.Object(
  {
    src: { ...Path, description: 'A file of the appliance, by its name among the files of tasks.' },
    dst: { ...Path, description: 'Where it goes on the machine.' },
    transport: Transport,
  },
  closed,
);
const GetArguments = Type.Object(
  {
    src: { ...Path, description: 'A file of the machine.' },
    dst: { ...Path, description: 'Its name in the folder of the run on the appliance.' },
    transport: Transport,
  },
  closed,
);
const WaitArguments = Type.Object(
  {
    state: Type.Optional(
      Type.Union([Type.Literal('up'), Type.Literal('down')], { description: 'What is waited for: up.' }),
    ),
    timeout: Type.Optional(Seconds('Longest wait in seconds: 60.')),
    transport_name: Transport,
  },
  closed,
);
const RebootArguments = Type.Object(
  { timeout: Type.Optional(Seconds('Longest wait in seconds until it is back: 300.')) },
  closed,
);

/** What `uses` may name, with what `with` takes. */
export const builtins = {
  'core.cmdrunner': CommandArguments,
  'core.put': PutArguments,
  'core.get': GetArguments,
  'core.wait_for_transport': WaitArguments,
  'bty.reboot_and_wait': RebootArguments,
} as const;
export type BuiltinName = keyof typeof builtins;

/** Other names of the same: CIJOE leaves the package out, and had an older one. */
export const aliases: Readonly<Record<string, BuiltinName>> = {
  cmdrunner: 'core.cmdrunner',
  put: 'core.put',
  get: 'core.get',
  wait_for_transport: 'core.wait_for_transport',
  wait_for_ssh: 'core.wait_for_transport',
  'core.wait_for_ssh': 'core.wait_for_transport',
};

/** The built-in that `name` means, null when there is none. */
export function builtinOf(name: string): BuiltinName | null {
  if (Object.hasOwn(builtins, name)) return name as BuiltinName;
  return Object.hasOwn(aliases, name) ? (aliases[name] ?? null) : null;
}

/** One step, checked. Seconds everywhere; `line` is where it begins in the file, from 1. */
export type TaskStep = {
  readonly name: string;
  readonly line: number;
  /** Longest time of the whole step, null for the appliance's own. */
  readonly timeout: number | null;
} & TaskAction;

export type TaskAction =
  | { readonly kind: 'run'; readonly commands: readonly string[] }
  | { readonly kind: 'put'; readonly src: string; readonly dst: string }
  | { readonly kind: 'get'; readonly src: string; readonly dst: string }
  | { readonly kind: 'wait'; readonly state: 'up' | 'down'; readonly seconds: number }
  | { readonly kind: 'reboot'; readonly seconds: number };

export interface Task {
  readonly doc: string;
  readonly steps: readonly TaskStep[];
}

/** How a step is told in reports: the built-in that does it. */
export function usesOf({ kind }: TaskAction): string {
  switch (kind) {
    case 'run':
      return 'core.cmdrunner';
    case 'put':
      return 'core.put';
    case 'get':
      return 'core.get';
    case 'wait':
      return 'core.wait_for_transport';
    case 'reboot':
      return 'bty.reboot_and_wait';
  }
}

/** One thing that is wrong with a task file. Line and column from 1. */
export const TaskFault = Type.Object({
  line: Type.Integer(),
  column: Type.Integer(),
  message: Type.String(),
});
export type TaskFault = Static<typeof TaskFault>;

const Timeout = Type.Optional(Seconds('Longest time of the step in seconds.'));
const usesNames = (name: BuiltinName) => [
  name,
  ...Object.keys(aliases).filter((alias) => aliases[alias] === name),
];
const usesStep = (name: BuiltinName) => {
  const uses = { enum: usesNames(name) };
  const shape = builtins[name];
  const needed = name === 'core.wait_for_transport' || name === 'bty.reboot_and_wait' ? [] : ['with'];
  return {
    type: 'object',
    properties: { name: Name, uses, with: shape, timeout: Timeout },
    required: ['name', 'uses', ...needed],
    additionalProperties: false,
  };
};

/** JSON Schema (draft 2020-12) of a task file, for editors. */
export const taskSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'bty task',
  description: 'What is done over SSH on a machine that was just flashed.',
  type: 'object',
  properties: {
    doc: { type: 'string', maxLength: mostLetters, description: 'What the task is for.' },
    steps: {
      type: 'array',
      minItems: 1,
      maxItems: mostSteps,
      items: {
        oneOf: [
          {
            type: 'object',
            properties: {
              name: Name,
              run: {
                oneOf: [Command, Type.Array(Command, { minItems: 1, maxItems: mostCommands })],
                description: 'Commands, each line one of its own.',
              },
              timeout: Timeout,
            },
            required: ['name', 'run'],
            additionalProperties: false,
          },
          ...(Object.keys(builtins) as BuiltinName[]).map(usesStep),
        ],
      },
    },
  },
  required: ['steps'],
  additionalProperties: false,
} as const;
