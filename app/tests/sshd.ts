/** A real OpenSSH server on loopback, with a port and processes of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './processes.ts';

/** Why there is no SSH server to test with; false when there is. */
export function whyNoSshd(): string | false {
  if (process.getuid?.() !== 0) return 'an SSH server of its own needs root';
  return existsSync('/usr/sbin/sshd') ? false : 'the OpenSSH server is not installed';
}

/** Lets root in with `key`; everything that it started ends with it. */
export async function startSshd(port: number, key: string): Promise<AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-sshd-'));
  await chmod(folder, 0o755);
  const file = (name: string) => join(folder, name);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file('host')]);
  await writeFile(file('authorized'), `${key}\n`);
  const lines = [
    ...[`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${file('host')}`, 'StrictModes no', 'UsePAM no'],
    ...['PidFile none', `AuthorizedKeysFile ${file('authorized')}`, 'PermitRootLogin yes'],
  ];
  await writeFile(file('config'), `${lines.join('\n')}\n`);
  await mkdir(file('run'));
  const script = `mount --bind ${file('run')} /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f ${file('config')}`;
  const namespaces = ['--mount', '--pid', '--mount-proc', '--fork', '--kill-child'];
  const child = spawn('unshare', [...namespaces, 'sh', '-c', script], { stdio: 'ignore' });
  await until(() => answers(port), 'the SSH server answers');
  return {
    async [Symbol.asyncDispose]() {
      const over = once(child, 'exit');
      child.kill('SIGKILL');
      await over;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
