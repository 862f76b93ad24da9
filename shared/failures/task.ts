import { ExitCode, entry } from './entry.ts';

const { failed, misuse } = ExitCode;

/** Tasks over SSH after a flash. */
export const taskFailures = {
  TASK_INVALID: entry<{ name: string; problem: string }>(
    misuse,
    422,
    (d) => `"${d.name}" is no valid task: ${d.problem}.`,
    'Mend the lines that are named; docs/tasks.md says what a task may hold.',
  ),
  TASK_UNKNOWN: entry<{ ref: string; problem: string }>(
    failed,
    404,
    (d) => `There is no task "${d.ref}": ${d.problem}.`,
    'Name a task of the registry (also as NAME@VERSION), or the path of a task file on the appliance.',
  ),
  TASK_NOT_SET: entry<{ mac: string }>(
    misuse,
    409,
    (d) => `No task is set for the machine ${d.mac}.`,
    'Set its task, or name one with task_ref.',
  ),
  TASK_IN_USE: entry<{ name: string; machines: number }>(
    failed,
    409,
    (d) => `${d.machines} machines are set to run the task "${d.name}".`,
    'Set another task, or none, for these machines first.',
  ),
  TASKS_OFF: entry<{ path: string }>(
    failed,
    409,
    (d) => `Tasks are off: the appliance has no key in "${d.path}".`,
    'Make the key on the page of tasks or with bty-web task key make, and bake its public half into the images.',
  ),
  TASK_KEY_UNUSABLE: entry<{ path: string; problem: string }>(
    failed,
    409,
    (d) => `The key of the appliance, "${d.path}", is not used: ${d.problem}.`,
    'It has to be a private key without a passphrase that belongs to the user of the appliance and that nobody else may read (chmod 600).',
  ),
  TASK_HOST_MISSING: entry<{ mac: string; seconds: number; tried: string }>(
    failed,
    504,
    (d) => `The machine ${d.mac} did not come up within ${d.seconds} s: ${d.tried}.`,
    'See that the flashed system starts an SSH server and gets an address, then run the task again.',
  ),
  TASK_LOGIN_REFUSED: entry<{ address: string; user: string; fingerprint: string }>(
    failed,
    502,
    (d) => `${d.address} lets ${d.user} not in with the appliance's key ${d.fingerprint}.`,
    "Bake the public half of the appliance's key into the image, in authorized_keys of that user.",
  ),
  TASK_HOST_KEY_CHANGED: entry<{ address: string; expected: string; found: string }>(
    failed,
    502,
    (d) => `${d.address} shows the host key ${d.found}; since its flash the machine had ${d.expected}.`,
    'Another machine may answer there. When the machine was given a new key on purpose, accept it on its page.',
  ),
  TASK_CONNECTION_LOST: entry<{ address: string; step: string; problem: string }>(
    failed,
    502,
    (d) => `The connection to ${d.address} broke during "${d.step}": ${d.problem}.`,
    'What that step did is not known. A step that reboots the machine is bty.reboot_and_wait.',
  ),
  TASK_STEP_FAILED: entry<{ step: string; problem: string }>(
    failed,
    502,
    (d) => `The step "${d.step}" failed: ${d.problem}.`,
    'The steps after it were not begun. Its output says more.',
  ),
  TASK_STEP_TIMEOUT: entry<{ step: string; seconds: number; ending: string }>(
    failed,
    504,
    (d) => `The step "${d.step}" took longer than ${d.seconds} s; ${d.ending}.`,
    'Give the step more time with "timeout", or see what it waits for.',
  ),
  TASK_TIMEOUT: entry<{ step: string; seconds: number; ending: string }>(
    failed,
    504,
    (d) => `The task took longer than ${d.seconds} s and was in "${d.step}"; ${d.ending}.`,
    'A longer time is set with --task-seconds.',
  ),
  TASK_OUTPUT_LOST: entry<{ problem: string }>(
    failed,
    507,
    (d) => `The appliance could not keep what the task wrote: ${d.problem}.`,
    'What ran was ended. Make room in the state directory of the appliance, then run the task again.',
  ),
  TASK_CANCELLED: entry<{ reached: string }>(
    ExitCode.cancelled,
    409,
    (d) => `The task was cancelled ${d.reached}.`,
    'It can be run again; steps that were done are done again then.',
  ),
  TASK_INTERRUPTED: entry<{ reached: string }>(
    failed,
    503,
    (d) => `The appliance ended ${d.reached}.`,
    'What that step did is not known; run the task again.',
  ),
} as const;
