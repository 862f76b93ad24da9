import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openAsBlob } from 'node:fs';
import { basename, join } from 'node:path';

/** An appliance on the loopback of this machine, for the demo: no root, no DHCP, a state directory of its own. */
export interface Lab {
  readonly url: string;
  readonly password: string;
  /** Uploads an image as the operator, binds a machine to it, and gives the script that this machine is answered. */
  rehearse(image: string, sha256: string, mac: string): Promise<string>;
  close(): Promise<void>;
}

/** Starts the executable `program` with its state in `folder`. Rejects with what it said when it does not begin. */
export async function startLab(program: string, folder: string): Promise<Lab> {
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
    close: async () => {
      if (appliance.exitCode !== null) return;
      const ended = once(appliance, 'exit');
      appliance.kill('SIGTERM');
      await ended;
    },
  };
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
