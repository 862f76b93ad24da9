import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  enter,
  type LabAppliance,
  macOf,
  openLab,
  openPage,
  startBrowser,
  startLab,
  whyNoBrowser,
} from './lab.ts';
import { noise } from './sample.ts';

const skip = whyNoBrowser();

interface Wire extends AsyncDisposable {
  readonly url: string;
  /** Breaks every connection of now; new ones are let through at once. */
  readonly cut: () => void;
  /** Lets nothing through any more to whoever listens to a stream now, and tells neither end. */
  readonly mute: () => void;
}

/** A wire to the appliance. */
async function startWire(to: string): Promise<Wire> {
  const sockets = new Set<Socket>();
  const streams = new Set<() => void>();
  const { hostname, port } = new URL(to);
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
    far.on('data', (bytes: Buffer) => {
      if (bytes.includes('text/event-stream')) streams.add(() => far.unpipe(near));
    });
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    mute: () => {
      for (const end of streams) end();
    },
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}

test('a connection that breaks and is back at once leaves nothing old on the page', { skip }, async () => {
  await using lab = await startLab();
  await using wire = await startWire(lab.url);
  await using browser = await startBrowser();
  await using opened = await openPage(browser);
  const { page } = opened;
  await lab.ask('PUT', `/machines/${macOf(1)}`, {});
  await lab.ask('PUT', `/machines/${macOf(2)}`, {});
  await enter(page, wire, '/ui/machines');
  await page.getByText('2 machines', { exact: true }).waitFor();
  // It listens.
  await lab.ask('PATCH', `/machines/${macOf(1)}`, { hostname: 'heard' });
  await page.getByText('heard').waitFor();
  wire.cut();
  await lab.ask('PATCH', `/machines/${macOf(1)}`, { hostname: 'missed' });
  await lab.ask('DELETE', `/machines/${macOf(2)}`);
  await page.getByText('missed').waitFor();
  await page.getByText('1 machine', { exact: true }).waitFor();
  assert.deepEqual(opened.complaints, []);
});

test('a stream that is dead without anybody having told is found out and begun anew', { skip }, async () => {
  await using lab = await startLab();
  await using wire = await startWire(lab.url);
  await using browser = await startBrowser();
  await using opened = await openPage(browser);
  const { page } = opened;
  await page.clock.install();
  await lab.ask('PUT', `/machines/${macOf(1)}`, {});
  await enter(page, wire, '/ui/machines');
  await page.getByText('1 machine', { exact: true }).waitFor();
  await lab.ask('PATCH', `/machines/${macOf(1)}`, { hostname: 'heard' });
  await page.getByText('heard').waitFor();
  wire.mute();
  await lab.ask('PATCH', `/machines/${macOf(1)}`, { hostname: 'unheard' });
  await page.clock.fastForward(41_000);
  await page.getByText('unheard').waitFor();
  assert.deepEqual(opened.complaints, []);
});

test('pages that nobody sees take no connection from the one that is seen, and catch up when they are seen', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  const context = page.context();
  await lab.ask('PUT', `/machines/${macOf(1)}`, { hostname: 'first' });
  await enter(page, lab, '/ui/machines');
  // To a program every page looks as if it were seen.
  const hide = `Object.defineProperty(document, 'hidden', { get: () => window.isSeen !== true });`;
  const unseen = [];
  for (let index = 0; index < 7; index++) {
    const other = await context.newPage();
    await other.addInitScript(hide);
    await other.goto(`${lab.url}/ui/machines`);
    await other.getByText('first').waitFor();
    unseen.push(other);
  }
  await page.goto(`${lab.url}/ui/images`);
  await page.getByText('No image yet').waitFor();
  await lab.ask('PATCH', `/machines/${macOf(1)}`, { hostname: 'second' });
  const [one] = unseen;
  await one?.evaluate("window.isSeen = true; document.dispatchEvent(new Event('visibilitychange'))");
  await one?.getByText('second').waitFor();
  assert.deepEqual(opened.complaints, []);
});

/** Enters so many small images, and waits until all of them are known. */
async function enterImages(lab: LabAppliance, count: number): Promise<readonly string[]> {
  for (let index = 0; index < count; index++)
    await fetch(`${lab.url}/images/image-${String(index).padStart(3, '0')}.img`, {
      method: 'PUT',
      headers: { cookie: await lab.cookie() },
      body: new Uint8Array(noise(2048, index + 1)),
    });
  for (;;) {
    const all = (await lab.ask('GET', '/images')) as readonly { readonly sha256: string | null }[];
    if (all.length === count) return all.map(({ sha256 }) => sha256 ?? '');
  }
}

test('a hundred images are asked about in one question, also while machines change, and shown page by page', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  const [first = ''] = await enterImages(lab, 110);
  await enter(page, lab, '/ui/images');
  await page.getByText('image-099.img').waitFor();
  assert.equal(await page.getByText('image-100.img').count(), 0);
  let asked = 0;
  page.on('request', (request) => {
    if (request.resourceType() === 'fetch') asked++;
  });
  for (let index = 1; index <= 5; index++)
    await lab.ask('PUT', `/machines/${macOf(index)}`, { image_sha256: first });
  await page.getByRole('link', { name: '5 machines' }).waitFor();
  assert.ok(asked < 30, `${asked} questions`);
  await page.getByRole('button', { name: 'Show more' }).click();
  await page.getByText('image-109.img').waitFor();
  assert.deepEqual(opened.complaints, []);
});

test('many files that are sent at once over a slow line leave the pages their connections', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await enter(page, lab, '/ui/images');
  const folder = await mkdtemp(join(tmpdir(), 'bty-lab-many-'));
  const files = Array.from({ length: 8 }, (_, index) => join(folder, `many-${index}.img`));
  for (const [index, file] of files.entries()) await writeFile(file, Buffer.alloc(8 << 20, index + 1));
  const network = await page.context().newCDPSession(page);
  const line = (uploadThroughput: number) =>
    network.send('Network.emulateNetworkConditions', {
      ...{ offline: false, latency: 0, downloadThroughput: -1, uploadThroughput },
    });
  await network.send('Network.enable');
  await line(256 << 10);
  await page.locator('input[type=file]').first().setInputFiles(files);
  await page.getByText('many-7.img is uploaded after the others').waitFor();
  await page.getByRole('link', { name: 'Events', exact: true }).click();
  await page.getByText(/Chain unbroken/).waitFor();
  await page.getByRole('link', { name: 'Images', exact: true }).click();
  await line(-1);
  await page.getByRole('button', { name: 'Verify: many-7.img' }).waitFor();
  await rm(folder, { recursive: true });
  assert.deepEqual(opened.complaints, []);
});

test('a page that cannot be loaded or drawn says so, and the others go on', { skip }, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await enter(page, lab);
  // As after an update, when the pieces of the former pages are gone.
  await page.route(/\/assets\/TasksPage/, (route) => route.fulfill({ status: 404, body: '{}' }));
  await page.getByRole('link', { name: 'Tasks', exact: true }).click();
  await page.getByRole('heading', { name: 'This page cannot be shown' }).waitFor();
  await page.getByRole('link', { name: 'Events', exact: true }).click();
  await page.getByText(/Chain unbroken/).waitFor();
  await page.unroute(/\/assets\/TasksPage/);
  await page.getByRole('link', { name: 'Tasks', exact: true }).click();
  await page.getByRole('button', { name: 'Load the new pages' }).click();
  await page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
  // No text of an address, however odd, leaves an empty page.
  for (const odd of ['%25', '%25E0%25A4', 'a%2520b']) {
    await page.goto(`${lab.url}/ui/machines/${odd}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
  }
});

test('events that come while older ones are asked for stay in the list, and typing a filter is one step back', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  for (let index = 1; index <= 120; index++)
    await lab.ask('PUT', `/machines/52:54:00:00:01:${index.toString(16).padStart(2, '0')}`, {});
  await enter(page, lab);
  await page.getByRole('link', { name: 'Events', exact: true }).click();
  await page.getByText(/Chain unbroken/).waitFor();
  const older = page.getByRole('button', { name: 'Older events' });
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(/before_id/, async (route) => {
    await held;
    await route.continue();
  });
  await older.click();
  await lab.ask('PUT', `/machines/${macOf(250)}`, {});
  await page
    .getByRole('button', { name: macOf(250) })
    .first()
    .waitFor();
  release();
  await page.getByRole('button', { name: '52:54:00:00:01:01', exact: true }).first().waitFor();
  assert.ok((await page.getByRole('button', { name: macOf(250) }).count()) > 0, 'it was lost');

  const kind = page.getByRole('combobox', { name: 'Kind' });
  await kind.pressSequentially('machine.updated');
  await page.getByText('No event fits').waitFor();
  await kind.fill('machine.created');
  await page
    .getByRole('button', { name: macOf(250) })
    .first()
    .waitFor();
  await page.goBack();
  await page.getByRole('heading', { level: 1, name: 'Dashboard' }).waitFor();
  assert.deepEqual(opened.complaints, []);
});
