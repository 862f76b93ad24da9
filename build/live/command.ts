import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Standard output of a program of this machine. Rejects with what it complained about. */
export async function output(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string } = {},
): Promise<string> {
  try {
    const environment = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
    const { stdout } = await execute(program, [...args], {
      ...options,
      env: environment,
      maxBuffer: 1 << 26,
    });
    return stdout;
  } catch (error) {
    const { code, stderr = '' } = error as NodeJS.ErrnoException & { stderr?: string };
    const problem = code === 'ENOENT' ? 'it is not installed' : stderr.trim() || String(error);
    throw new Error(`${program} ${args.slice(0, 3).join(' ')}: ${problem}`, { cause: error });
  }
}
