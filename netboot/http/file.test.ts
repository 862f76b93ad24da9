import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { open, rename, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { noise, sha256, temporaryDirectory, until } from '../testing/files.ts';
import { fileContent, openRegular, typeOf } from './content.ts';
import { dispositionOf, FileSender, type FileSenderOptions, type Sent } from './file.ts';
import { Pace } from './pace.ts';
import { answerFor, rangeOf } from './range.ts';
import { pieceBytes, Slots } from './slots.ts';
import { neighbourhood } from './tally.ts';

interface Served {
  readonly directory: string;
  readonly port: number;
  readonly sender: FileSender;
  readonly sent: Sent[];
}

async function serve(context: TestContext, options?: FileSenderOptions): Promise<Served> {
  const directory = await temporaryDirectory(context);
  const sender = new FileSender(options);
  const sent: Sent[] = [];
  const server = createServer(async (request, response) => {
    const name = decodeURIComponent((request.url ?? '').slice(1));
    const opened = await openRegular(join(directory, name));
    if (opened === null) return void response.writeHead(404).end();
    const known = name.startsWith('known') ? 'ab'.repeat(32) : null;
    sent.push(await sender.send(request, response, fileContent(opened, known), { name, type: typeOf(name) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { directory, port: (server.address() as AddressInfo).port, sender, sent };
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

function ask(port: number, path: string, headers: Record<string, string> = {}, method = 'GET') {
  return new Promise<Reply>((resolve, reject) => {
    const request = httpRequest({ port, host: '127.0.0.1', path, headers, method, agent: false });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    request.end();
  });
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

test('a file is sent whole with what a client needs to resume it', async (context) => {
  const { directory, port } = await serve(context);
  const bytes = noise(3_000_001);
  await writeFile(join(directory, 'a b.img.gz'), bytes);
  const reply = await ask(port, '/a%20b.img.gz');
  assert.equal(reply.status, 200);
  assert.ok(reply.body.equals(bytes));
  assert.equal(reply.headers['content-length'], '3000001');
  assert.equal(reply.headers['accept-ranges'], 'bytes');
  assert.equal(reply.headers['content-type'], 'application/gzip');
  assert.equal(reply.headers['content-disposition'], 'attachment; filename="a b.img.gz"');
  assert.match(reply.headers.etag ?? '', /^"[0-9a-z-]+"$/);
  assert.ok(Date.parse(reply.headers['last-modified'] ?? '') > Date.now() - 60_000);
  const head = await ask(port, '/a%20b.img.gz', {}, 'HEAD');
  assert.equal(head.status, 200);
  assert.equal(head.body.length, 0);
  for (const name of ['content-length', 'etag', 'last-modified', 'content-type', 'accept-ranges']) {
    assert.equal(head.headers[name], reply.headers[name], name);
  }
  const half = await ask(port, '/a%20b.img.gz', { range: 'bytes=1000-' }, 'HEAD');
  assert.deepEqual([half.status, half.headers['content-length']], [206, '2999001']);
});

test('any one range of any file is exactly those bytes', async (context) => {
  const { directory, port } = await serve(context);
  const bytes = noise(2_500_000);
  await writeFile(join(directory, 'f'), bytes);
  const place = fc.integer({ min: 0, max: 2_600_000 });
  const property = fc.asyncProperty(fc.option(place), fc.option(place), async (from, to) => {
    const reply = await ask(port, '/f', { range: `bytes=${from ?? ''}-${to ?? ''}` });
    const whole = (from === null && to === null) || (from !== null && to !== null && to < from);
    if (whole) {
      assert.equal(reply.status, 200);
      assert.ok(reply.body.equals(bytes));
    } else if (from === null ? to === 0 : from >= bytes.length) {
      assert.equal(reply.status, 416);
      assert.equal(reply.headers['content-range'], 'bytes */2500000');
    } else {
      const expected =
        from === null
          ? bytes.subarray(Math.max(0, bytes.length - (to ?? 0)))
          : bytes.subarray(from, to === null ? undefined : to + 1);
      assert.equal(reply.status, 206);
      assert.ok(reply.body.equals(expected), `${from}-${to}`);
      const first = from ?? bytes.length - expected.length;
      assert.equal(
        reply.headers['content-range'],
        `bytes ${first}-${first + expected.length - 1}/${bytes.length}`,
      );
    }
  });
  await fc.assert(property, { numRuns: 60 });
  await writeFile(join(directory, 'empty'), '');
  assert.equal((await ask(port, '/empty')).status, 200);
  assert.equal((await ask(port, '/empty', { range: 'bytes=0-' })).status, 416);
});

test('conditions decide before ranges do', async (context) => {
  const { directory, port } = await serve(context);
  await writeFile(join(directory, 'known'), noise(1000));
  const { headers } = await ask(port, '/known');
  const etag = headers.etag ?? '';
  const date = headers['last-modified'] ?? '';
  assert.equal(etag, `"${'ab'.repeat(32)}"`);
  assert.equal(headers['repr-digest'], `sha-256=:${Buffer.from('ab'.repeat(32), 'hex').toString('base64')}:`);
  const range = 'bytes=10-19';
  const status = async (more: Record<string, string>) => (await ask(port, '/known', more)).status;
  assert.equal(await status({ 'if-none-match': etag }), 304);
  assert.equal(await status({ 'if-none-match': `"x", W/${etag}` }), 304);
  assert.equal(await status({ 'if-none-match': '*' }), 304);
  assert.equal(await status({ 'if-none-match': '"x"', 'if-modified-since': date }), 200);
  assert.equal(await status({ 'if-modified-since': date }), 304);
  assert.equal(await status({ 'if-modified-since': new Date(0).toUTCString() }), 200);
  assert.equal(await status({ 'if-modified-since': 'yesterday' }), 200);
  assert.equal(await status({ 'if-match': '"x"' }), 412);
  assert.equal(await status({ 'if-match': etag, range }), 206);
  assert.equal(await status({ 'if-unmodified-since': new Date(0).toUTCString() }), 412);
  assert.equal(await status({ 'if-range': etag, range }), 206);
  assert.equal(await status({ 'if-range': `W/${etag}`, range }), 200);
  assert.equal(await status({ 'if-range': '"x"', range }), 200);
  assert.equal(await status({ 'if-range': date, range }), 206);
  assert.equal(await status({ 'if-range': new Date(0).toUTCString(), range }), 200);
  assert.equal(await status({ range: 'bytes=0-1,5-6', 'if-range': '"x"' }), 200);
  assert.equal(await status({ range: 'lines=1-2' }), 200);
  // The tag of the same file from before its digest was known resumes as well.
  const opened = await openRegular(join(directory, 'known'));
  assert.ok(opened);
  const [earlier = ''] = fileContent(opened, null).etags;
  await opened.handle.close();
  assert.equal(await status({ 'if-range': earlier, range }), 206);
});

test('whatever the headers hold, the answer is one of the kinds and inside the file', () => {
  const text = fc.oneof(
    fc.string(),
    fc.string().map((rest) => `bytes=${rest}`),
    fc
      .array(fc.tuple(fc.option(fc.nat(2e9)), fc.option(fc.nat(2e9))), { maxLength: 6 })
      .map((all) => `bytes=${all.map(([from, to]) => `${from ?? ''}-${to ?? ''}`).join(', ')}`),
    fc.constantFrom('bytes=-', '"a"', 'W/"a"', '*', 'bytes=0-99999999999999999999', 'bytes=-5'),
  );
  const size = fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 1e9 }));
  fc.assert(
    fc.property(text, text, text, size, (range, ifRange, tag, bytes) => {
      const file = { size: bytes, etags: ['"a"'], modified: new Date(0) };
      const answer = answerFor({ range, 'if-range': ifRange, 'if-none-match': tag }, file);
      const parts = answer.kind === 'part' ? [answer] : answer.kind === 'parts' ? answer.parts : [];
      for (const { first, last } of parts)
        assert.ok(bytes !== null && first >= 0 && first <= last && last < bytes);
      // Whoever asks for parts never makes more work than the whole is.
      const sum = parts.reduce((all, { first, last }) => all + last - first + 1, 0);
      assert.ok(sum <= (bytes ?? 0));
    }),
  );
  assert.deepEqual(rangeOf('bytes=0-0', null), { kind: 'whole' });
});

/** Bodies and ranges of a multipart answer. */
function partsOf(reply: Reply): { readonly range: string; readonly body: Buffer }[] {
  const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(reply.headers['content-type'] ?? '')?.[1];
  const text = reply.body.toString('latin1');
  assert.ok(boundary !== undefined && text.endsWith(`\r\n--${boundary}--\r\n`));
  return text
    .split(`\r\n--${boundary}`)
    .slice(1, -1)
    .map((part) => {
      const end = part.indexOf('\r\n\r\n');
      const range = /content-range: bytes (\S+)/.exec(part.slice(0, end))?.[1] ?? '';
      return { range, body: Buffer.from(part.slice(end + 4), 'latin1') };
    });
}

test('several ranges come as parts of one answer, in the order in which they were asked for', async (context) => {
  const { directory, port } = await serve(context);
  const bytes = noise(900_000);
  await writeFile(join(directory, 'f'), bytes);
  const reply = await ask(port, '/f', { range: 'bytes=500000-899998, 0-0 ,-1,10-20,2000000-' });
  assert.equal(reply.status, 206);
  assert.equal(Number(reply.headers['content-length']), reply.body.length);
  assert.equal(reply.headers['content-range'], undefined);
  assert.deepEqual(
    partsOf(reply).map(({ range }) => range),
    ['500000-899998/900000', '0-0/900000', '899999-899999/900000', '10-20/900000'],
  );
  for (const { range, body } of partsOf(reply)) {
    const [from = 0, to = 0] = range.split(/[-/]/).map(Number);
    assert.ok(body.equals(bytes.subarray(from, to + 1)), range);
  }
  const head = await ask(port, '/f', { range: 'bytes=0-1,5-6' }, 'HEAD');
  const small = await ask(port, '/f', { range: 'bytes=0-1,5-6' });
  assert.deepEqual(
    [head.status, head.headers['content-length'], head.body.length],
    [206, small.headers['content-length'], 0],
  );
  // One that is left of several comes as one; nonsense, overlap and too many get the whole, nothing gets 416.
  const status = async (range: string) => (await ask(port, '/f', { range })).headers['content-range'] ?? null;
  assert.equal(await status('bytes=1-2,900000-'), 'bytes 1-2/900000');
  for (const range of ['0-9,5-14', '0-1,nonsense', '5-1,0-1', Array(40).fill('1-1').join(',')])
    assert.equal((await ask(port, '/f', { range: `bytes=${range}` })).status, 200, range);
  assert.equal((await ask(port, '/f', { range: 'bytes=900000-,1000000-' })).status, 416);
});

test('who takes a byte now and then is given up, and who is only slow is not', async (context) => {
  const { directory, port, sent } = await serve(context, { stallMilliseconds: 200, leastRate: 400_000 });
  await writeFile(join(directory, 'f'), noise(60_000_000));
  const socket = connect({ port, host: '127.0.0.1' });
  context.after(() => socket.destroy());
  socket.on('error', () => {});
  socket.write('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
  // A window that opens by a little again and again: the connection is never silent.
  const sip = setInterval(() => socket.read(2000), 20);
  context.after(() => clearInterval(sip));
  await until('it is given up', () => sent.length === 1);
  assert.match(sent[0]?.problem ?? '', /took (less than \d+ bytes in|nothing for) [\d.]+ seconds/);
  clearInterval(sip);
  const pace = (rate: number) => {
    const told: string[] = [];
    return { told, pace: new Pace(40, rate, (problem) => told.push(problem)) };
  };
  const [slow, steady] = [pace(1_000_000), pace(1)];
  const never = new Promise<void>(() => {});
  void steady.pace.during(10_000_000, never);
  void slow.pace.during(10, never);
  await until('the slow one is given up', () => slow.told.length > 0);
  assert.deepEqual(steady.told, []);
  slow.pace.end();
  steady.pace.end();
});

test('a file that is replaced while it is sent arrives as it was', async (context) => {
  const { directory, port, sent } = await serve(context);
  const [old, fresh] = [noise(30_000_000, 1), noise(30_000_000, 2)];
  await writeFile(join(directory, 'f'), old);
  await writeFile(join(directory, 'g'), fresh);
  const body = await new Promise<Buffer>((resolve, reject) => {
    const request = httpRequest({ port, host: '127.0.0.1', path: '/f', agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let replaced = false;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if (replaced) return;
        replaced = true;
        response.pause();
        rename(join(directory, 'g'), join(directory, 'f')).then(() => response.resume(), reject);
      });
      response.on('end', () => resolve(Buffer.concat(chunks)));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end();
  });
  assert.equal(sha256(body), sha256(old));
  await until('the transfer is over', () => sent.length === 1);
  assert.deepEqual(
    sent.map(({ problem }) => problem),
    [null],
  );
  assert.equal(sha256((await ask(port, '/f')).body), sha256(fresh));
});

/** Reads `/f` up to its first bytes, does `work`, and reads on; resolves with the bytes and whether all came. */
function interrupted(port: number, work: () => Promise<unknown>) {
  return new Promise<{ bytes: number; complete: boolean }>((resolve, reject) => {
    const request = httpRequest({ port, host: '127.0.0.1', path: '/f', agent: false }, (response) => {
      let bytes = 0;
      response.once('readable', () => {
        work().then(() => response.on('data', (chunk: Buffer) => (bytes += chunk.length)), reject);
      });
      response.on('error', () => {});
      response.on('close', () => resolve({ bytes, complete: response.complete }));
    });
    request.on('error', reject);
    request.end();
  });
}

test('a file that is changed in place while it is sent is cut off, never mixed', async (context) => {
  const { directory, port, sent } = await serve(context);
  const path = join(directory, 'f');
  await writeFile(path, noise(60_000_000));
  const result = await interrupted(port, async () => {
    const handle = await open(path, 'r+');
    await handle.write(noise(1000, 9), 0, 1000, 59_000_000);
    await handle.close();
  });
  assert.equal(result.complete, false);
  await until('the first transfer ends', () => sent.length >= 1);
  assert.match(sent[0]?.problem ?? '', /changed while it was sent/);
  await writeFile(path, noise(60_000_000));
  const shorter = await interrupted(port, () => truncate(path, 10_000_000));
  assert.equal(shorter.complete, false);
  await until('the second transfer ends', () => sent.length === 2);
});

test('a slow client gets every byte and holds one small piece meanwhile', async (context) => {
  const { directory, port, sender, sent } = await serve(context);
  const bytes = noise(12_000_000);
  await writeFile(join(directory, 'f'), bytes);
  const hash = createHash('sha256');
  await new Promise<void>((resolve, reject) => {
    const request = httpRequest({ port, host: '127.0.0.1', path: '/f', agent: false }, (response) => {
      response.on('data', (chunk: Buffer) => {
        hash.update(chunk);
        if (chunk.length < 1000) return;
        response.pause();
        setTimeout(() => response.resume(), 2);
      });
      response.on('end', resolve);
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end();
  });
  assert.equal(hash.digest('hex'), sha256(bytes));
  await until('the transfer is over', () => sent.length === 1);
  assert.equal(sender.transfers, 0);
  assert.equal(pieceBytes(1, 251), 64 * 1024);
});

test('clients that vanish or never read leave no descriptor, no memory and no transfer behind', async (context) => {
  const { directory, port, sender, sent } = await serve(context, { stallMilliseconds: 150 });
  await writeFile(join(directory, 'f'), noise(50_000_000));
  const before = descriptors();
  const sockets = Array.from({ length: 20 }, (_, index) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    if (index % 2 === 0) socket.once('data', () => socket.destroy());
    else socket.pause();
    return socket;
  });
  await until('all of them are given up', () => sent.length === 20);
  assert.equal(sender.transfers, 0);
  assert.ok(sent.every(({ problem }) => problem !== null));
  assert.ok(sent.some(({ problem }) => /took nothing for 0.15 seconds/.test(problem ?? '')));
  for (const socket of sockets) socket.destroy();
  await until('the descriptors are closed', () => descriptors() <= before);
});

test('64 clients share bounded memory, and more than allowed are told to come back', async (context) => {
  const { directory, port, sender } = await serve(context, { mostTransfers: 64, mostPerAddress: 64 });
  await writeFile(join(directory, 'f'), noise(20_000_000));
  const sockets = Array.from({ length: 64 }, () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    return socket.pause();
  });
  await until('all are served', () => sender.transfers === 64);
  assert.equal((await ask(port, '/f')).status, 503);
  assert.ok(sender.lentBytes < 64 * 2 * 1024 * 1024);
  for (const socket of sockets) socket.destroy();
  await until('all are gone', () => sender.transfers === 0 && sender.lentBytes === 0);
  assert.equal((await ask(port, '/f')).body.length, 20_000_000);
});

test('memory between files and sockets is reused, and no more is kept than allowed', () => {
  const slots = new Slots(1024 * 1024);
  const first = slots.take(1_500_000);
  assert.equal(first.length, 512 * 1024);
  assert.equal(slots.take(1).length, 64 * 1024);
  assert.equal(slots.take(256 * 1024).length, 256 * 1024);
  slots.give(first);
  assert.equal(slots.take(512 * 1024), first);
  slots.give(first);
  slots.give(Buffer.alloc(64 * 1024));
  slots.give(Buffer.alloc(256 * 1024));
  assert.equal(slots.lentBytes, 0);
});

test('only regular files are opened, never what a link leads to', async (context) => {
  const directory = await temporaryDirectory(context);
  await writeFile(join(directory, 'f'), 'x');
  await symlink('/etc/passwd', join(directory, 'link'));
  assert.equal(await openRegular(join(directory, 'link')), null);
  assert.equal(await openRegular(directory), null);
  assert.equal(await openRegular(join(directory, 'absent')), null);
  assert.equal(await openRegular(join(directory, 'f', 'g')), null);
  const opened = await openRegular(join(directory, 'f'));
  await opened?.handle.close();
  assert.ok(opened);
});

test('names of every kind are safe in a header', () => {
  assert.equal(dispositionOf('a.img'), 'attachment; filename="a.img"');
  assert.equal(
    dispositionOf('z\u00fcrich "1"\r\n.img'),
    `attachment; filename="z_rich _1___.img"; filename*=UTF-8''z%C3%BCrich%20%221%22%0D%0A.img`,
  );
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (name) =>
      assert.match(dispositionOf(name), /^[\x20-\x7e]+$/),
    ),
  );
});

test('one address leaves transfers for the others', async (context) => {
  const { directory, port, sender } = await serve(context, { mostTransfers: 8 });
  await writeFile(join(directory, 'f'), noise(20_000_000));
  const open = (localAddress: string) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    socket.on('error', () => {});
    socket.write('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    return socket.pause();
  };
  const greedy = Array.from({ length: 12 }, () => open('127.0.0.2'));
  await until('it has its share', () => sender.transfers === 4);
  assert.equal((await ask(port, '/f')).body.length, 20_000_000);
  assert.equal(sender.transfers, 4);
  for (const socket of greedy) socket.destroy();
  await until('all are gone', () => sender.transfers === 0);
  const again = open('127.0.0.2');
  await until('it is served again', () => sender.transfers === 1);
  again.destroy();
});

test('an IPv6 client is its network of 64 bits', () => {
  assert.equal(neighbourhood('2001:db8::1'), neighbourhood('2001:db8::ffff:2'));
  assert.notEqual(neighbourhood('2001:db8::1'), neighbourhood('2001:db8:0:1::1'));
  assert.equal(neighbourhood('::ffff:10.0.0.1'), '10.0.0.1');
  assert.notEqual(neighbourhood('10.0.0.1'), neighbourhood('10.0.0.2'));
});
