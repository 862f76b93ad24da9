import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '../../build/test/port.ts';
import { barriers } from './axe.ts';
import { enter, openLab, whyNoBrowser } from './lab.ts';
import { startSshd, whyNoSshd } from './sshd.ts';

const skip = whyNoBrowser() || whyNoSshd();
const mac = '52:54:00:00:08:01';

test('a task is written, checked while it is typed, run, watched, cancelled, and found among those that failed', {
  skip,
}, async () => {
  const port = await freePort();
  await using opened = await openLab(['--cijoe-ssh-port', String(port)]);
  const { lab, page } = opened;
  await enter(page, lab, '/ui/tasks');

  await page.getByText('There is no key yet, so no task runs.').waitFor();
  await page.getByRole('button', { name: 'Make the key' }).click();
  const question = page.getByRole('dialog');
  await question.getByText(/log in to every machine/).waitFor();
  await question.getByRole('button', { name: 'Make the key' }).click();
  const key = await page.getByText(/^ssh-ed25519 \S+ bty$/).textContent();
  await using _sshd = await startSshd(port, key ?? '');

  await page.getByRole('button', { name: 'New task file' }).click();
  await page.getByLabel('Name', { exact: true }).fill('touch');
  const text = page.getByLabel('Task file (YAML)');
  await text.fill('steps:\n- name: a\n  uses: qemu.guest_start\n');
  await page.getByText(/^Line 3, column 9: "qemu.guest_start" is not built in/).waitFor();
  const save = page.getByRole('button', { name: 'Save' });
  assert.equal(await save.isDisabled(), true);
  assert.deepEqual(await barriers(page), []);
  await text.fill(
    'steps:\n- name: greet\n  run: echo "<b>hello</b> there"\n- name: wait\n  run: sleep 1000\n',
  );
  await page.getByText('This is a task with 2 steps.').waitFor();
  await save.click();
  await page.getByText('Saved as version 1.').waitFor();

  await lab.ask('PUT', `/machines/${mac}`, { labels: { 'task-address': '127.0.0.1' } });
  await page.goto(`${lab.url}/ui/machines/${mac}`);
  const card = page.getByRole('region', { name: 'Task after the flash' });
  await card.getByLabel('Runs after each flash').selectOption('touch');
  await card.getByRole('button', { name: 'Run now' }).click();
  const log = card.getByRole('log');
  // What a machine writes is text and nothing else.
  await log.getByText('<b>hello</b> there', { exact: true }).waitFor();
  assert.equal(await log.locator('b').count(), 0);
  await card.locator('li[data-status="completed"]').getByText('greet').waitFor();
  await card.locator('li[data-status="running"]').getByText('wait', { exact: true }).waitFor();
  assert.deepEqual(await barriers(page), []);
  await card.getByRole('button', { name: 'Cancel the task' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Cancel the task' }).click();
  await card
    .getByText(/The task was cancelled in step 2 of 2, "wait"; its processes were ended/)
    .first()
    .waitFor();
  await card.getByRole('button', { name: 'Cancel the task' }).waitFor({ state: 'detached' });

  await lab.ask('PUT', '/tasks/library/touch', { text: 'steps:\n- name: no\n  run: exit 4\n' });
  await card.getByRole('button', { name: 'Run now' }).click();
  await card
    .getByText(/its command ended with code 4/)
    .first()
    .waitFor();
  const report = await page.request.get(
    `${lab.url}${await card.getByRole('link', { name: 'JUnit' }).getAttribute('href')}`,
  );
  assert.match(await report.text(), /<failure message="[^"]*code 4/);

  // The card of the dashboard, and the address of the pages of before, lead to the machines whose last task failed.
  await lab.ask('PUT', '/machines/52:54:00:00:08:02', {});
  await page.goto(`${lab.url}/ui/dashboard`);
  const failed = page.getByRole('region', { name: '1 machine whose task failed' });
  await failed.getByRole('link', { name: mac }).waitFor();
  await failed.getByRole('link', { name: 'Show them' }).click();
  await page.getByText('1 of 2 machines').waitFor();
  await page.goto(`${lab.url}/ui/machines?filter=task-failed`);
  await page.getByText('1 of 2 machines').waitFor();
  await page.getByRole('link', { name: mac }).waitFor();

  await page.goto(`${lab.url}/ui/tasks?show=failed`);
  const runs = page.getByRole('region', { name: 'Last runs' });
  await runs.getByText(/its command ended with code 4/).waitFor();
  assert.equal(await runs.getByRole('listitem').count(), 1, 'the cancelled one is not among them');
  assert.deepEqual(await barriers(page), []);
  await runs.getByRole('link', { name: mac }).click();
  await page.getByRole('heading', { name: mac }).waitFor();
  assert.deepEqual(opened.complaints, []);
});

test('files that tasks copy are added and deleted on the page; what is refused is said', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await enter(page, lab, '/ui/tasks');
  const card = page.getByRole('region', { name: 'Files for machines' });
  await card.getByText('No file was added yet.').waitFor();
  const choose = card.locator('input[type="file"]');
  const file = (name: string) => ({ name, mimeType: 'text/plain', buffer: Buffer.from('welcome\n') });
  await choose.setInputFiles([file('motd'), file('.hidden')]);
  await card.getByRole('listitem').getByText('motd', { exact: true }).waitFor();
  await card.getByText(/^\.hidden: A file of that name cannot be kept/).waitFor();
  assert.equal(await card.getByRole('listitem').count(), 1);
  assert.deepEqual(await barriers(page), []);
  await card.getByRole('button', { name: 'Delete motd' }).click();
  const question = page.getByRole('alertdialog');
  await question.getByText('A task with a step that copies it fails from then on.').waitFor();
  await question.getByRole('button', { name: 'Delete', exact: true }).click();
  await card.getByText('No file was added yet.').waitFor();
  assert.deepEqual(opened.complaints, []);
});
