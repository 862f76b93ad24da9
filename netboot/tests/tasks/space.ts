/** Runs a test file in a network namespace of its own, where every address of 127.0.0.0/8 is free. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const variable = 'BTY_TEST_IN_SPACE';
const minutes = 60;

/** Why no SSH server can be run in a namespace here, false where one can. */
export function noSshd(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'namespaces need root on Linux';
  const missing = ['/usr/sbin/sshd', '/usr/bin/ssh-keygen', '/usr/bin/unshare'].filter(
    (file) => !existsSync(file),
  );
  return missing.length > 0 ? `needs ${missing.join(', ')}` : false;
}

/** Declares `tests` where this file already runs in such a namespace; else one test that runs the file in one. */
export function inOwnSpace(url: string, name: string, tests: () => void): void {
  if (process.env[variable] === '1') {
    tests();
    return;
  }
  const file = fileURLToPath(url);
  test(name, { skip: noSshd(), timeout: minutes * 60_000 }, async () => {
    const { NODE_TEST_CONTEXT: _, ...rest } = process.env;
    const env = { ...rest, [variable]: '1' };
    const script = 'ip link set lo up && exec "$@"';
    const node = [process.execPath, '--test-reporter=spec', file];
    const { code, output } = await new Promise<{ code: number | string | null; output: string }>(
      (resolve) => {
        const args = ['--net', '--mount', 'sh', '-c', script, 'sh', ...node];
        const options = { env, maxBuffer: 1 << 26, timeout: minutes * 60_000 };
        execFile('unshare', args, options, (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : (error.code ?? null), output: `${stdout}\n${stderr}` });
        });
      },
    );
    assert.equal(code, 0, output);
    assert.match(output, /pass [1-9]/);
    process.stderr.write(output.replaceAll(/^(?!.*(✔|✖|seconds)).*\n/gm, ''));
  });
}
