import assert from 'node:assert/strict';
import { test } from 'node:test';
import { barriers } from './axe.ts';
import { enter, type LabAppliance, openLab, password, whyNoBrowser } from './lab.ts';

const skip = whyNoBrowser();
const mac = '52:54:00:00:00:01';
const notesOf = async (lab: LabAppliance) =>
  ((await lab.ask('GET', `/machines/${mac}`)) as { readonly notes: string | null }).notes;

/** Ends every session but the one that `lab` asks with. */
async function endOthers(lab: LabAppliance): Promise<void> {
  const all = (await lab.ask('GET', '/access/sessions')) as readonly {
    readonly id: string;
    readonly current: boolean;
  }[];
  for (const { id, current } of all) if (!current) await lab.ask('DELETE', `/access/sessions/${id}`);
}

test('a session that ends in the middle of a form and of a question takes nothing of them away', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await lab.ask('PUT', `/machines/${mac}`, { hostname: 'node-1' });
  await enter(page, lab, `/ui/machines/${mac}`);
  const notes = page.getByLabel('Notes');
  await notes.fill('half written');
  await page.getByRole('button', { name: 'Delete' }).click();
  const question = page.getByRole('alertdialog');
  await question.waitFor();
  const press = await question.getByRole('button', { name: 'Delete' }).elementHandle();
  await endOthers(lab);
  // The page may be told before it is pressed, and then shows the question no more.
  await press?.dispatchEvent('click');
  await page.getByText('Your session has ended').waitFor();
  // What is kept is neither seen nor reached while nobody is logged in.
  await question.waitFor({ state: 'detached' });
  await notes.waitFor({ state: 'hidden' });
  assert.deepEqual(await barriers(page), []);
  for (let presses = 0; presses < 6; presses++) {
    await page.keyboard.press('Tab');
    const inside = await page.evaluate("document.activeElement.closest('.lab-kept') !== null");
    assert.equal(inside, false);
  }
  await lab.ask('PATCH', `/machines/${mac}`, { labels: { rack: 'b9' } });
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await question.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await notes.inputValue(), 'half written');
  // What another one changed meanwhile is known again, and the form says so.
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Somebody changed this machine meanwhile').waitFor();
  assert.equal(await notesOf(lab), null);
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  assert.equal(await notesOf(lab), 'half written');
  // It listens again.
  await lab.ask('PATCH', `/machines/${mac}`, { hostname: 'node-2' });
  await page.getByRole('heading', { level: 1, name: 'node-2' }).waitFor();
  assert.deepEqual(opened.complaints, []);
});

test('what was typed and not saved outlives a walk through the pages, and is not put over what others saved', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await lab.ask('PUT', `/machines/${mac}`, {});
  await enter(page, lab, `/ui/machines/${mac}`);
  const link = (name: string) => page.getByRole('link', { name, exact: true });
  await page.getByLabel('Notes').fill('mine');
  await link('Machines').first().click();
  await link(mac).click();
  await page.getByText('You edited this before and did not save it yet.').waitFor();
  assert.equal(await page.getByLabel('Notes').inputValue(), 'mine');
  // The browser asks before the pages are left with it.
  const asks = () =>
    page.evaluate(
      "(() => { const event = new Event('beforeunload', { cancelable: true }); dispatchEvent(event); return event.defaultPrevented; })()",
    );
  assert.equal(await asks(), true);
  await page.getByRole('button', { name: 'Undo' }).click();
  assert.equal(await asks(), false);

  await link('Tasks').click();
  const editor = page.getByLabel('Task file (YAML)');
  const save = page.getByRole('button', { name: 'Save' });
  const close = page.getByRole('button', { name: 'Close', exact: true });
  const text = (word: string) => `steps:\n- name: say\n  run: echo ${word}\n`;
  await page.getByRole('button', { name: 'New task file' }).click();
  await page.getByLabel('Name', { exact: true }).fill('greet');
  await editor.fill(text('first'));
  await close.click();
  const question = page.getByRole('alertdialog', { name: 'Close without saving?' });
  await question.getByRole('button', { name: 'Cancel' }).click();
  await link('Events').click();
  await link('Tasks').click();
  await page.getByRole('button', { name: 'New task file' }).click();
  assert.equal(await editor.inputValue(), text('first'));
  await save.click();
  await page.getByText('Saved as version 1.').waitFor();

  await page.getByRole('button', { name: 'Edit greet' }).click();
  await editor.getByText('first').waitFor({ state: 'attached' });
  await lab.ask('PUT', '/tasks/library/greet', { text: text('theirs') });
  await editor.fill(text('mine'));
  await page.getByText('This is a task with 1 step.').waitFor();
  await save.click();
  await page.getByText('There is a version 2 of greet that you have not seen.').waitFor();
  await save.click();
  await page.getByText('Saved as version 3.').waitFor();
  assert.deepEqual(opened.complaints, []);
});

test('whoever logs in again in one page is let in again in the others', { skip }, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await lab.ask('PUT', `/machines/${mac}`, { hostname: 'node-1' });
  await enter(page, lab, `/ui/machines/${mac}`);
  const other = await page.context().newPage();
  await other.goto(`${lab.url}/ui/machines/${mac}`);
  await other.getByLabel('Notes').fill('in the other one');
  const link = await page.getByRole('link', { name: 'Events', exact: true }).elementHandle();
  await endOthers(lab);
  // The page may be told before it is pressed, and then shows the link no more.
  await link?.dispatchEvent('click');
  await page.getByText('Your session has ended').waitFor();
  await other.getByText('Your session has ended').waitFor();
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText(/Chain unbroken/).waitFor();
  await other.getByText('Your session has ended').waitFor({ state: 'detached' });
  assert.equal(await other.getByLabel('Notes').inputValue(), 'in the other one');
  assert.deepEqual(opened.complaints, []);
});

test('two who set the network at the same time both have what they set', { skip }, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await enter(page, lab, '/ui/boot');
  await page.getByRole('button', { name: 'Add an interface…' }).click();
  const sheet = page.getByRole('dialog');
  await sheet.getByLabel('Interface').waitFor();
  const other = { interface: 'other0', mode: 'off' };
  await lab.ask('PUT', '/dhcp/settings', { interfaces: [other] });
  await sheet.getByLabel('DHCP').selectOption('off');
  await sheet.getByRole('button', { name: 'Apply' }).click();
  await page.getByText('The network is set.').waitFor();
  const { interfaces } = (await lab.ask('GET', '/dhcp/settings')) as {
    readonly interfaces: readonly { readonly interface: string }[];
  };
  assert.equal(interfaces.length, 2);
  assert.ok(interfaces.some((one) => one.interface === 'other0'));
  assert.deepEqual(opened.complaints, []);
});
