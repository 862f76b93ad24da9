import { ExitCode, failure } from '../../shared/failure.ts';
import { taskSchema } from '../../shared/task/file.ts';
import type { Loaded } from '../config/load.ts';
import { faultLines, readTask } from '../tasks/file.ts';
import { loadKey, makeKey } from '../tasks/key.ts';
import { readBounded } from '../tasks/library.ts';

/** `bty-web task validate FILE`: exit code 1 and a line for each fault when the appliance would not run it. */
export function validateCommand(file: string): ExitCode {
  const read = readTask(readBounded(file));
  if (read.kind === 'invalid') {
    process.stdout.write(`${faultLines(file, read.faults)}\n`);
    return ExitCode.failed;
  }
  const { steps } = read.task;
  process.stdout.write(`${file}: ok (${steps.length} step${steps.length === 1 ? '' : 's'})\n`);
  return ExitCode.ok;
}

/** `bty-web task schema`: JSON Schema of a task file. */
export function schemaCommand(): ExitCode {
  process.stdout.write(`${JSON.stringify(taskSchema, null, 2)}\n`);
  return ExitCode.ok;
}

/** `bty-web task key`: the public half of the appliance's key, which `make` makes when there is none. */
export async function keyCommand({ config }: Loaded, make: boolean): Promise<ExitCode> {
  const key = make ? await makeKey(config.taskKey, config.stateDir) : await loadKey(config.taskKey);
  if (key === null) throw failure('TASKS_OFF', { path: config.taskKey });
  process.stdout.write(`${key.public}\n`);
  return ExitCode.ok;
}
