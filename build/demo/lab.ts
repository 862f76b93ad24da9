import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openAsBlob } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { noise } from '../../netboot/testing/files.ts';
import { Live } from '../../netboot/tests/sim/live.ts';
import { macOf } from '../../netboot/tests/sim/machine.ts';
import { Operator } from '../../netboot/tests/sim/operator.ts';

/** An appliance on the loopback of this machine, for the demo: no root, no DHCP, a state directory of its own. */
export interface Lab {
  readonly url: string;
  readonly password: string;
  /** Uploads an image as the operator, binds a machine to it, and gives the script that this machine is answered. */
  rehearse(image: string, sha256: string, mac: string): Promise<string>;
  /**
   * Boots pretended machines that are bound to the image, from the script on: firmware and DHCP need a network of their
   * own (`npm run sim`). Each loads kernel and initrd, asks for its plan, loads the image and reports; what they are
   * answered is what the appliance answers any machine. Calls `told` for each that the appliance calls deployed.
   */
  boot(count: number, sha256: string, told: (mac: string, stages: string) => void): Promise<void>;
  close(): Promise<void>;
}

/** Starts the executable `program` with its state in `folder`. Rejects with what it said when it does not begin. */
export async function startLab(program: string, folder: string): Promise<Lab> {
  // Pretended machines never start what they load; on a real appliance "npm run live" builds it.
  const boot = join(folder, 'state', 'boot');
  await mkdir(boot, { recursive: true });
  await writeFile(join(boot, 'bty-netboot-x86_64.vmlinuz'), noise(400_000, 2));
  await writeFile(join(boot, 'bty-netboot-x86_64.initrd'), noise(1_000_000, 3));
  const args = ['serve', '--state-dir', join(folder, 'state'), '--web-host', '127.0.0.1', '--web-port', '0'];
  const appliance = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const { url, password } = await greeting(appliance);
  const login = await fetch(`${url}/ui/login`, {
    method: 'POST',
    body: new URLSearchParams({ password }),
    redirect: 'manual',
  });
  const cookie = login.headers
    .getSetCookie()
    .map((each) => each.split(';')[0])
    .join('; ');
  const asked = async (path: string, init: RequestInit): Promise<string> => {
    const answer = await fetch(`${url}${path}`, { ...init, headers: { cookie } });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return text;
  };
  return {
    url,
    password,
    rehearse: async (image, sha256, mac) => {
      await asked(`/images/${basename(image)}`, { method: 'PUT', body: await openAsBlob(image) });
      const binding = JSON.stringify({ image_sha256: sha256, boot_policy: 'flash-once' });
      await asked(`/machines/${mac}`, { method: 'PUT', body: binding });
      return asked(`/pxe/${mac}`, { method: 'GET' });
    },
    boot: async (count, sha256, told) => {
      const operator = await Operator.login(url, password);
      for (let index = 1; index <= count; index++) {
        const mac = macOf(index);
        await operator.bind(mac, sha256);
        told(mac, await bootOne(url, mac, `127.0.0.${10 + index}`));
        await operator.deployed(mac);
      }
    },
    close: async () => {
      if (appliance.exitCode !== null) return;
      const ended = once(appliance, 'exit');
      appliance.kill('SIGTERM');
      await ended;
    },
  };
}

/** One machine at the loopback address `address`; resolves its stages and how long each took. */
async function bootOne(url: string, mac: string, address: string): Promise<string> {
  const stages: string[] = [];
  const told = { address, server: '127.0.0.1', file: `${url}/pxe-bootstrap.ipxe` };
  const live = new Live(mac, told, async (stage, work) => {
    const from = performance.now();
    const value = await work();
    stages.push(`${stage} ${Math.round(performance.now() - from)} ms`);
    return value;
  });
  await live.load(await live.script(told.file));
  const plan = await live.agent();
  if (plan !== 'flash') throw new Error(`${mac} is to do "${plan}", although an image is bound to it`);
  await live.again();
  return stages.join(', ');
}

async function greeting({ stdout, stderr }: ChildProcess): Promise<{ url: string; password: string }> {
  let [said, complained] = ['', ''];
  stderr?.setEncoding('utf8').on('data', (text: string) => {
    complained = (complained + text).slice(-4000);
  });
  return new Promise((resolve, reject) => {
    stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const url = /listens on (http:\S+)/.exec(said)?.[1];
      const password = /password of the operator is (\S+)/.exec(said)?.[1];
      if (url && password) resolve({ url, password });
    });
    stdout?.once('close', () => reject(new Error(`bty-web did not start: ${said}${complained}`)));
  });
}
