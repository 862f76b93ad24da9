// biome-ignore-all lint/suspicious/noTemplateCurlyInString: iPXE spells its settings like that.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { installLive } from '../machines/testing.ts';
import { temporaryDirectory } from '../testing.ts';
import { curl, runProgram, startProgram } from './program.ts';

const mac = 'aa:bb:cc:dd:ee:ff';

test('the flow of the predecessor, with nothing but curl: log in, upload, bind, boot, done, boot', async (context) => {
  const stateDir = temporaryDirectory(context);
  installLive(stateDir, ['vmlinuz', 'initrd', 'squashfs']);
  const program = await startProgram(context, ['--state-dir', stateDir]);
  const password = /password of the operator is (\S+)/.exec(program.output())?.[1];
  assert.ok(password, 'the first password is printed');
  const jar = join(stateDir, 'jar');
  const at = (path: string) => `${program.url}${path}`;
  const status = ['-o', '/dev/null', '-w', '%{http_code}'];

  assert.equal((await curl([...status, at('/machines')])).output, '401');
  const login = await curl([...status, '-c', jar, '-d', `password=${password}`, at('/ui/login')]);
  assert.equal(login.output, '303');
  assert.match(readFileSync(jar, 'utf8'), /#HttpOnly_127\.0\.0\.1.*bty-token/);

  const image = join(stateDir, 'my image.img');
  const content = Buffer.alloc(100_000, 'bty');
  writeFileSync(image, content);
  const sha = createHash('sha256').update(content).digest('hex');
  const uploaded = await curl(['-b', jar, '-T', image, at('/images/my%20image.img')]);
  assert.equal((JSON.parse(uploaded.output) as { size_bytes: number }).size_bytes, content.length);
  const listed = await untilListed(() => curl([at('/images')]));
  assert.equal(listed.url, at(`/images/${sha}/my%20image.img`));

  const bind = JSON.stringify({ image_sha256: sha, boot_policy: 'flash' });
  // curl's own content type for -d is a form's; a JSON body is taken all the same.
  const bound = await curl(['-b', jar, '-X', 'PUT', at(`/machines/${mac}`), '-d', bind]);
  assert.equal((JSON.parse(bound.output) as { image_sha256: string }).image_sha256, sha);

  const script = (await curl([at('/pxe/AA-BB-CC-DD-EE-FF')])).output;
  assert.match(script, /^#!ipxe\n/);
  assert.ok(script.includes('boot=live fetch=${bty-base}/boot/bty-netboot-x86_64.squashfs components'));
  assert.ok(script.includes(`bty.image_url=\${bty-base}/images/${sha}/my%20image.img`));
  const fetched = join(stateDir, 'fetched');
  await curl(['-o', fetched, listed.url]);
  assert.deepEqual(readFileSync(fetched), content);
  const ranged = await curl([...status, '-r', '10-19', listed.url]);
  assert.equal(ranged.output, '206');
  assert.match((await curl(['-I', listed.url])).output, /content-length: 100000/i);

  assert.equal((await curl([...status, '-X', 'POST', '-d', 'ok', at(`/pxe/${mac}/done`)])).output, '204');
  const machine = JSON.parse((await curl(['-b', jar, at(`/machines/${mac}`)])).output) as {
    last_flashed_at: string | null;
    boot_policy: string;
  };
  assert.ok(machine.last_flashed_at);
  assert.equal(machine.boot_policy, 'flash');
  assert.ok(!(await curl([at(`/pxe/${mac}`)])).output.includes('\nkernel '), 'the disk, once');
  assert.ok((await curl([at(`/pxe/${mac}`)])).output.includes('\nkernel '), 'and then the next flash');

  const made = await curl(['-b', jar, '-d', '{"name":"ci","scope":"operate"}', at('/access/tokens')]);
  const { token } = JSON.parse(made.output) as { token: string };
  const bearer = ['-H', `Authorization: Bearer ${token}`];
  const rebound = await curl([...status, ...bearer, '-X', 'PUT', '-d', bind, at(`/machines/${mac}`)]);
  assert.equal(rebound.output, '200');
  assert.equal((await curl([...status, '-b', jar, '-X', 'POST', at('/ui/logout')])).output, '303');
  assert.equal((await curl([...status, '-b', jar, at('/machines')])).output, '401');
  assert.equal(await program.end('SIGTERM'), 0);
});

interface Listed {
  readonly url: string;
}

/** An upload is hashed in the background; it is listed when its identity is known. */
async function untilListed(ask: () => Promise<{ readonly output: string }>): Promise<Listed> {
  for (;;) {
    const [first] = JSON.parse((await ask()).output) as Listed[];
    if (first) return first;
  }
}

test('kill -9 while machines are written: what was acknowledged is there, and the chain is whole', async (context) => {
  const stateDir = temporaryDirectory(context);
  const password = 'a long password';
  const environment = { BTY_ADMIN_PASSWORD: password };
  const acknowledged = new Map<string, string>();
  for (let round = 0; round < 3; round++) {
    const program = await startProgram(context, ['--state-dir', stateDir], environment);
    const login = await fetch(`${program.url}/ui/login`, {
      method: 'POST',
      body: new URLSearchParams({ password }),
      redirect: 'manual',
    });
    const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? '';
    const listed = await (await fetch(`${program.url}/machines`, { headers: { cookie } })).json();
    const found = new Map(
      (listed as { mac: string; hostname: string }[]).map(({ mac: one, hostname }) => [one, hostname]),
    );
    for (const [one, hostname] of acknowledged) assert.equal(found.get(one), hostname);
    let written = 0;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let index = 0; ; index++) {
        const address = `02:00:00:0${round}:0${writer}:${(index % 90) + 10}`;
        const hostname = `h-${round}-${writer}-${index}`;
        try {
          const answer = await fetch(`${program.url}/machines/${address}`, {
            method: 'PUT',
            headers: { cookie },
            body: JSON.stringify({ hostname }),
          });
          if (answer.status !== 200) return;
          acknowledged.set(address, hostname);
          written++;
        } catch {
          // What was asked and not answered may be there or not; its next name is another one.
          acknowledged.delete(address);
          return;
        }
        if (written === 60 + round * 40) void program.end('SIGKILL');
      }
    });
    await Promise.all(writers);
  }
  assert.ok(acknowledged.size > 50);
  const verified = await runProgram(['audit', 'verify', '--state-dir', stateDir]);
  assert.equal(verified.code, 0, verified.output);
});

test('a changed event is found by audit verify, with exit code 1', async (context) => {
  const stateDir = temporaryDirectory(context);
  const program = await startProgram(context, ['--state-dir', stateDir]);
  await (await fetch(`${program.url}/pxe/${mac}`)).text();
  await program.end('SIGTERM');
  const intact = await runProgram(['audit', 'verify', '--state-dir', stateDir]);
  const hash = /Hash of the last: ([0-9a-f]{64})/.exec(intact.output)?.[1] ?? '';
  for (const [expected, code] of [[hash, 0] as const, ['f'.repeat(64), 1] as const, ['x', 2] as const]) {
    const told = await runProgram(['audit', 'verify', expected, '--state-dir', stateDir]);
    assert.equal(told.code, code, told.output);
  }
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(join(stateDir, 'state.db'));
  database.exec("UPDATE events SET summary = 'nothing' WHERE kind = 'machine.discovered'");
  database.close();
  const verified = await runProgram(['audit', 'verify', '--state-dir', stateDir]);
  assert.equal(verified.code, 1);
  assert.match(verified.output, /broken at event \d+: this event, or the hash before it, was changed/);
});
