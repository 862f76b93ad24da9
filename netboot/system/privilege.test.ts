import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { judgeNeighbours, judgeRights } from './doctor.ts';
import { handedSockets } from './handed.ts';
import { holderOf, rowsOf } from './holder.ts';
import { bindsDevicesFreely, userOf } from './privilege.ts';

const run = promisify(execFile);
const needsRoot =
  process.platform !== 'linux' || process.getuid?.() !== 0 ? 'needs root on Linux' : (false as const);

test('root becomes an ordinary user that binds low ports on any interface later, and nothing else', {
  skip: needsRoot,
}, async () => {
  const privilege = new URL('./privilege.ts', import.meta.url).href;
  const native = new URL('./native.ts', import.meta.url).href;
  const program = `
      import { readFileSync, readdirSync, writeFileSync, mkdirSync } from 'node:fs';
      import { spawnSync } from 'node:child_process';
      const { becomeOrdinary, rights } = await import(${JSON.stringify(privilege)});
      const { datagramSocket, closeDescriptor } = await import(${JSON.stringify(native)});
      const dropped = becomeOrdinary({ uid: 65534, gid: 65534 });
      const address = new Uint8Array(4);
      const one = { device: 'lo', address, port: 67, shared: false, receiveBuffer: 65536 };
      const first = datagramSocket(one);
      closeDescriptor(first);
      closeDescriptor(datagramSocket({ ...one, port: 69 }));
      let back = 'no';
      try { process.setuid(0); back = 'yes'; } catch (error) { back = error.code; }
      let secret = 'read';
      try { readFileSync('/etc/shadow'); } catch (error) { secret = error.code; }
      const status = readFileSync('/proc/self/status', 'utf8');
      const field = (name) => new RegExp('^' + name + ':\\\\s*(.*)$', 'm').exec(status)[1];
      const child = spawnSync('/bin/sh', ['-c', 'grep CapEff /proc/self/status'], { encoding: 'utf8' }).stdout;
      const others = readdirSync('/proc/self/task').filter((task) => task !== String(process.pid))
        .map((task) => /CapEff:\\s*(.*)/.exec(readFileSync('/proc/self/task/' + task + '/status', 'utf8'))[1]);
      console.log(JSON.stringify({ dropped, back, secret, uid: process.getuid(), groups: process.getgroups(),
        effective: field('CapEff'), bounding: field('CapBnd'), noNew: field('NoNewPrivs'), child, others }));
    `;
  // In a namespace of its own, so that port 67 of the machine is left alone.
  const { stdout } = await run('unshare', [
    '--net',
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    '--input-type=module',
    '--eval',
    program,
  ]);
  const told = JSON.parse(stdout) as Record<string, unknown>;
  assert.deepEqual(told.dropped, { uid: 65534, gid: 65534, kept: ['CAP_NET_BIND_SERVICE'] });
  assert.equal(told.uid, 65534);
  assert.deepEqual(told.groups, [65534]);
  assert.equal(told.back, 'EPERM');
  assert.equal(told.secret, 'EACCES');
  assert.equal(told.effective, '0000000000000400');
  assert.equal(told.bounding, '0000000000000400');
  assert.equal(told.noNew, '1');
  assert.match(String(told.child), /0000000000000000/);
  // Threads that existed before have nothing; those made later have what the main thread has.
  for (const mask of told.others as string[]) assert.match(mask, /^0{13}[04]00$/);
});

test('the process that holds a UDP port is named', { skip: needsRoot }, async () => {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  assert.equal((await holderOf(port))?.includes('a program of user') ?? true, true);
  const program = `import { holderOf } from ${JSON.stringify(new URL('./holder.ts', import.meta.url).href)};
    console.log(await holderOf(${port}));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program]);
  assert.ok(stdout.includes(`(process ${process.pid})`), stdout);
  socket.close();
  await once(socket, 'close');
  assert.equal(await holderOf(port), null);
});

test('rows of the port table are found by port', () => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops',
    '  1: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000   106        0 12345 2 0 0',
    '  2: 0100007F:0143 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 777 2 0 0',
  ].join('\n');
  assert.deepEqual(rowsOf(table, 67), [{ inode: '12345', uid: 106 }]);
});

test('sockets of systemd are taken by name, and only when they are for this process', () => {
  const environment = { LISTEN_PID: '42', LISTEN_FDS: '3', LISTEN_FDNAMES: 'dhcp-lab0:proxy-lab0:dhcp-lab0' };
  const found = handedSockets(environment, 42);
  assert.deepEqual(
    [...found],
    [
      ['dhcp-lab0', [3, 5]],
      ['proxy-lab0', [4]],
    ],
  );
  assert.equal(handedSockets(environment, 43).size, 0);
  assert.equal(handedSockets({ ...environment, LISTEN_FDS: '-1' }, 42).size, 0);
  assert.equal(handedSockets({}, 42).size, 0);
});

test('users are found by their exact name', () => {
  const passwd = 'root:x:0:0::/root:/bin/sh\nbty:x:990:980::/var/lib/bty:/usr/sbin/nologin\n';
  assert.deepEqual(userOf('bty', passwd), { uid: 990, gid: 980 });
  assert.equal(userOf('bt', passwd), null);
});

test('kernels since 5.7 bind sockets to interfaces without a right', () => {
  assert.deepEqual(['5.6.19', '5.7.0', '6.1.0-56-amd64', '4.19.0'].map(bindsDevicesFreely), [
    false,
    true,
    true,
    false,
  ]);
});

test('the doctor says which right there is, and what to do when there is none', () => {
  const none = { uid: 1000, bindService: false, netRaw: false, firstOpenPort: 1024, bindsDevices: true };
  assert.equal(judgeRights(none, 67).state, 'missing');
  assert.match(judgeRights(none, 67).advice, /bty-web\.service/);
  assert.equal(judgeRights({ ...none, bindService: true }, 67).state, 'ok');
  assert.equal(judgeRights({ ...none, firstOpenPort: 60 }, 67).state, 'ok');
  assert.equal(judgeRights({ ...none, uid: 0 }, 67).state, 'ok');
});

test('the doctor says for how many machines at once the kernel keeps neighbours, where that can be read', () => {
  assert.equal(judgeNeighbours(null), null);
  assert.equal(judgeNeighbours(8192)?.state, 'ok');
  assert.equal(judgeNeighbours(1024)?.state, 'note');
  assert.match(judgeNeighbours(1024)?.advice ?? '', /gc_thresh3=16384/);
});
