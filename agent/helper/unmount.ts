import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { failure } from '../../shared/failure.ts';

/** A disk that is slow to take what is still to be written to it takes minutes. */
const patience = 10 * 60_000;

/**
 * Unmounts the file system at `mountpoint`, which stands in /proc/self/mountinfo, with umount(8): it also tells those
 * who keep a list of mounts. Rejects with UNMOUNT_FAILED, or the reason of `signal`.
 */
export async function unmount(target: string, mountpoint: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const tool = ['/usr/bin/umount', '/bin/umount'].find((path) => existsSync(path));
  if (!tool) throw failure('TOOL_MISSING', { tool: 'umount', purpose: `unmount ${target}` });
  await new Promise<void>((resolve, reject) => {
    const words = ['--no-canonicalize', '--', mountpoint];
    const options = {
      timeout: patience,
      signal,
      env: { LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    };
    execFile(tool, words, options, (error, _stdout, stderr) => {
      if (!error) return resolve();
      if (signal.aborted) return reject(signal.reason);
      const problem = stderr.trim().split('\n').at(-1)?.slice(0, 300) || error.message;
      reject(failure('UNMOUNT_FAILED', { target, mountpoint, problem }, error));
    });
  });
}
