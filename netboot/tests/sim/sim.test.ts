/** Pretend machines of every model boot from the whole appliance, to their scripts. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { until } from '../../testing/files.ts';
import { noLab } from '../pxe/lab.ts';

const run = promisify(execFile);
const count = Number(process.env.BTY_SIM_MACHINES ?? '140');
const skip =
  noLab() || (existsSync('/usr/lib/ipxe/undionly.kpxe') ? false : 'the Debian package ipxe is not installed');

test(`${count} machines of seven models reach their scripts`, { skip, timeout: 280_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bty-sim-'));
  const [server, clients] = [`bty-sim-s${process.pid}`, `bty-sim-c${process.pid}`];
  const ip = (...args: string[]) => run('ip', args);
  let web: ReturnType<typeof spawn> | null = null;
  try {
    for (const name of [server, clients]) {
      await ip('netns', 'add', name);
      await ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    await ip('-n', server, 'link', 'add', 'lab0', 'type', 'veth', 'peer', 'name', 'lab1', 'netns', clients);
    await ip('-n', server, 'addr', 'add', '10.77.0.1/16', 'dev', 'lab0');
    await ip('-n', clients, 'addr', 'add', '10.77.0.2/16', 'dev', 'lab1');
    await ip('-n', server, 'link', 'set', 'lab0', 'up');
    await ip('-n', clients, 'link', 'set', 'lab1', 'up');
    await ip('-n', clients, 'route', 'add', 'default', 'dev', 'lab1');
    const flags = [
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, '..', '..', 'main.ts'),
      'serve',
    ];
    const settings = [
      ...['--state-dir', join(folder, 'state'), '--web-host', '10.77.0.1', '--web-port', '8080'],
      ...['--interface', 'lab0', '--dhcp', 'full', '--dhcp-anyway', '--user', 'root'],
      ...['--admin-password', 'correct horse battery'],
    ];
    web = spawn('ip', ['netns', 'exec', server, process.execPath, ...flags, ...settings], {
      stdio: 'ignore',
    });
    const ready = () =>
      run('ip', [
        'netns',
        'exec',
        clients,
        'curl',
        '-sS',
        '-m',
        '3',
        '-o',
        '/dev/null',
        'tftp://10.77.0.1/undionly.kpxe',
      ]).then(
        () => true,
        () => false,
      );
    await until('the appliance serves', ready, 90_000);
    const program = join(import.meta.dirname, 'main.ts');
    const args = ['netns', 'exec', clients, process.execPath, program, String(count), String(count * 12)];
    const { stdout } = await run('ip', args, { maxBuffer: 1 << 24 }).catch(
      (error: { stdout: string }) => error,
    );
    const report = JSON.parse(stdout) as { failed: unknown[]; stages: Record<string, object> };
    process.stdout.write(`${JSON.stringify(report.stages)}\n`);
    assert.deepEqual(report.failed, []);
  } finally {
    if (web) {
      const ended = new Promise((resolve) => web?.once('exit', resolve));
      web.kill('SIGTERM');
      await ended;
    }
    for (const name of [server, clients]) await ip('netns', 'del', name).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
});
