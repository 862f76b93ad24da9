import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { barriers } from './axe.ts';
import { enter, macOf, openLab, whyNoBrowser } from './lab.ts';
import { until } from './processes.ts';
import { noise } from './sample.ts';

const skip = whyNoBrowser();
const mac = '52:54:00:00:00:01';

test('nothing is ended, taken back or replaced by one click, and what is refused is said where it was asked', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  const question = page.getByRole('alertdialog');
  /** Presses what ends it: asked, left alone, asked again, done. */
  const end = async (name: string, act: string) => {
    const button = page.getByRole('button', { name, exact: true });
    await button.click();
    await question.getByRole('button', { name: 'Cancel' }).click();
    await question.waitFor({ state: 'detached' });
    await button.click();
    await question.getByRole('button', { name: act, exact: true }).click();
    await button.waitFor({ state: 'detached' });
  };
  const reservations = Array.from({ length: 130 }, (_, index) => ({
    mac: macOf(index + 1),
    address: `10.9.${index >> 6}.${1 + (index & 63)}`,
  }));
  const since = Date.now();
  const lease = {
    ...{ address: '10.9.9.9', state: 'bound', key: 'x', mac, uuid: null, hostName: null },
    ...{ vendorClass: null, interface: 'lab0', since, expires: since + 3_600_000 },
  };
  await lab.ask('POST', '/dhcp/leases', { leases: [lease], reservations });
  await enter(page, lab, '/ui/boot');
  await end('End the lease of 10.9.9.9', 'End');
  // All of them can be reached, however few leases there are.
  await page.getByText('10.9.1.36').waitFor();
  assert.equal(await page.getByText('10.9.2.2').count(), 0);
  await page.getByRole('button', { name: 'Show more' }).click();
  await page.getByText('10.9.2.2').waitFor();
  await end(`End the reservation of ${macOf(1)}`, 'End');

  await page.getByRole('button', { name: 'Reserve…' }).click();
  const sheet = page.getByRole('dialog', { name: 'Reserve an address' });
  await sheet.getByLabel('MAC address').fill('52:54:00:00:99:99');
  await sheet.getByLabel('Address', { exact: true }).fill('10.9.0.2');
  // Enter does what the button says.
  await page.keyboard.press('Enter');
  await sheet
    .getByRole('alert')
    .getByText(/10\.9\.0\.2/)
    .waitFor();
  assert.deepEqual(await barriers(page), []);
  await sheet.getByLabel('Address', { exact: true }).fill('10.9.77.77');
  await page.keyboard.press('Enter');
  await sheet.waitFor({ state: 'detached' });

  await lab.ask('POST', '/access/tokens', { name: 'script', scope: 'read', expires_in_days: null });
  await page.goto(`${lab.url}/ui/settings`);
  await end('Take back the token script', 'Take back');
  // Keys of the pages do not go behind a question.
  await page.getByRole('button', { name: 'End all…' }).click();
  await question.waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('t');
  assert.equal(new URL(page.url()).pathname, '/ui/settings');
  await question.getByRole('button', { name: 'Cancel' }).click();
  await page.keyboard.press('g');
  await page.keyboard.press('t');
  await page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
  assert.deepEqual(opened.complaints, []);
});

test('an image of a name that is taken is replaced only after a question, typed where machines have it', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await enter(page, lab, '/ui/images');
  const choose = page.locator('input[type=file]').first();
  const file = (name: string, seed: number) => ({
    name,
    mimeType: 'application/octet-stream',
    buffer: Buffer.from(noise(5000, seed)),
  });
  await choose.setInputFiles([file('a.img', 1), file('b.img', 2), file('c.img', 3)]);
  await page.getByRole('button', { name: 'Verify: c.img' }).waitFor();
  await page.getByRole('button', { name: 'Verify: a.img' }).waitFor();
  const digests = async () => {
    const all = (await lab.ask('GET', '/images')) as readonly { name: string; sha256: string | null }[];
    return new Map(all.map(({ name, sha256 }) => [name, sha256]));
  };
  const before = await digests();
  await lab.ask('PUT', `/machines/${mac}`, { image_sha256: before.get('a.img') });
  await page.getByRole('link', { name: '1 machine' }).waitFor();
  await choose.setInputFiles([file('a.img', 7), file('d.img', 8)]);
  const question = page.getByRole('alertdialog', { name: 'Replace a.img?' });
  await question.getByText('1 machine is bound to it').waitFor();
  const replace = question.getByRole('button', { name: 'Replace' });
  assert.equal(await replace.isDisabled(), true);
  await question.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Verify: d.img' }).waitFor();
  assert.equal((await digests()).get('a.img'), before.get('a.img'));
  await choose.setInputFiles([file('a.img', 7)]);
  await question.getByLabel('Type a.img to go on').fill('a.img');
  await replace.click();
  // That it is uploaded was said of the first one, too.
  await until(async () => (await digests()).get('a.img') !== before.get('a.img'), 'it is another image');
  assert.deepEqual(opened.complaints, []);
});

test('names that would be programs, turn the direction of writing or do not end stay names on every page', {
  skip,
}, async () => {
  await using opened = await openLab([], {
    viewport: { width: 360, height: 780 },
    timezoneId: 'Asia/Kolkata',
  });
  const { lab, page } = opened;
  const program = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  const turned = '\u202egnp.\u2066x';
  const long = 'w'.repeat(255);
  await lab.ask('PUT', `/machines/${mac}`, {
    hostname: `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(60)}`,
    labels: { program, turned, long, ['n'.repeat(63)]: 'x' },
    notes: `${program}\n${turned}\n${'y'.repeat(9000)}`,
    target_disk_serial: program,
  });
  await lab.ask('PUT', '/machines/52:54:00:00:00:02', { labels: { program } });
  for (const [index, name] of [`${turned}.img`, `<b>bold<\u2215b>.img`, `${'z'.repeat(240)}.img`].entries())
    await fetch(`${lab.url}/images/${encodeURIComponent(name)}`, {
      method: 'PUT',
      headers: { cookie: await lab.cookie() },
      body: new Uint8Array(noise(2048, index + 1)),
    });
  await lab.ask('POST', '/catalog/entries', { image_url: `http://127.0.0.1:9/${'q'.repeat(200)}/<i>.img` });
  await fetch(`${lab.url}/pxe/${mac}`);
  await enter(page, lab);
  const wrong: string[] = [];
  for (const place of [
    'dashboard',
    'machines',
    `machines/${mac}`,
    'images',
    'boot',
    'tasks',
    'events',
    'settings',
    'setup',
  ]) {
    await page.goto(`${lab.url}/ui/${place}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForLoadState('networkidle', { timeout: 2000 }).catch(() => undefined);
    const found = (await page.evaluate(`({
      wide: Math.max(document.documentElement.scrollWidth, document.querySelector('main').scrollWidth),
      made: document.querySelectorAll('main img, main script, main b, main i').length,
      title: document.title,
    })`)) as { readonly wide: number; readonly made: number; readonly title: string };
    if (found.wide > 360) wrong.push(`${place} is ${found.wide} pixels wide`);
    if (found.made > 0) wrong.push(`${place} has elements that a name made`);
    if (place === 'images') await page.getByText('\\u{202e}gnp.').first().waitFor();
    if (!/ · bty appliance$/.test(found.title)) wrong.push(`${place} is called ${found.title}`);
  }
  assert.deepEqual(wrong, []);
  // Every moment is told as it is here, and exactly on hover; a page that has to wait says so.
  await page.route(/\/boots\?/, async (route) => {
    await page.getByRole('progressbar', { name: 'Waiting for the appliance' }).waitFor();
    await route.continue();
  });
  await page.goto(`${lab.url}/ui/machines/${mac}`);
  const moments = page.locator('main time');
  await page.getByText('iPXE and its script').waitFor();
  for (const moment of await moments.all()) {
    const exact = (await moment.getAttribute('title')) ?? '';
    assert.match(exact, /^\d{4}-\d\d-\d\dT.*Z$/);
    const here = new Date(Date.parse(exact) + 5.5 * 3_600_000).toISOString().slice(11, 16);
    assert.match((await moment.textContent()) ?? '', new RegExp(here));
  }
  await page.unroute(/\/boots\?/);
  // What a question says never pushes its buttons away.
  await page.goto(`${lab.url}/ui/machines/${mac}`);
  await page.getByRole('button', { name: 'Print label' }).click();
  const box = await page.getByRole('dialog').getByRole('button', { name: 'Print label' }).boundingBox();
  assert.ok(box && box.x >= 0 && box.x + box.width <= 360, JSON.stringify(box));
  await page.keyboard.press('Escape');
  // In a wide table, name and labels stay in their column.
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.goto(`${lab.url}/ui/machines`);
  const row = page.getByRole('row').filter({ hasText: mac });
  const state = await row.locator('.cell-phase').boundingBox();
  const name = await row.locator('.cell-hostname > .cut').first().boundingBox();
  assert.ok(name && name.width > 10, 'the name is seen');
  const over = await page.evaluate(
    `document.elementFromPoint(${(state?.x ?? 0) + 4}, ${(state?.y ?? 0) + (state?.height ?? 0) / 2}).closest('.cell').className`,
  );
  assert.equal(over, 'cell cell-phase');
  // On a phone a short name is read whole, whatever its labels are.
  await lab.ask('PATCH', '/machines/52:54:00:00:00:02', {
    hostname: 'node-2',
    labels: { rack: 'b9', program },
  });
  await page.setViewportSize({ width: 360, height: 780 });
  const short = page.locator('.cell-hostname > :first-child', { hasText: 'node-2' });
  await short.waitFor();
  const whole = await page.evaluate(`[...document.querySelectorAll('.cell-hostname > :first-child')]
    .filter(({ textContent }) => textContent === 'node-2')
    .map(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)`);
  assert.deepEqual(whole, [true]);
  assert.deepEqual(opened.complaints, []);
});

test('the dashboard says how many more machines are at work than it names, and leads to all of them', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await mkdir(join(lab.stateDir, 'boot'), { recursive: true });
  for (const name of ['vmlinuz', 'initrd'])
    await writeFile(join(lab.stateDir, 'boot', `bty-netboot-x86_64.${name}`), 'x');
  for (let index = 1; index <= 55; index++) {
    await lab.ask('PUT', `/machines/${macOf(index)}`, { boot_policy: 'inventory' });
    await fetch(`${lab.url}/pxe/${macOf(index)}`);
  }
  await enter(page, lab);
  await page.getByRole('link', { name: 'and 5 more' }).click();
  await page.getByText('55 of 55 machines').waitFor();
  const states = page.getByRole('combobox', { name: 'State' });
  assert.match((await states.locator('option:checked').textContent()) ?? '', /^Booting, Preparing, /);
  assert.deepEqual(opened.complaints, []);
});
