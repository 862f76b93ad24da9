/** Permission asked for by the window, of the real polkit: an own bus, polkitd, pkexec, and somebody who answers. */
import assert from 'node:assert/strict';
import { chmod, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { digestOf, loopDisk } from './loop.ts';
import { packedApp } from './packed.ts';
import { descendantsOf, patience, until } from './processes.ts';
import { folderFor, partitionedImage } from './sample.ts';
import { PolkitStage, whyNoPolkit } from './stage.ts';
import { diskRow, flash, inspected, lane, result, whyNoWindow } from './steps.ts';
import { openApp } from './window.ts';

const skip = whyNoWindow() || whyNoPolkit();
const MiB = 1 << 20;

test('the window asks through polkit: given, refused, closed and taken back are different ends', {
  skip,
}, async (context) => {
  const folder = await folderFor(context);
  await chmod(folder, 0o755);
  const image = await partitionedImage(join(folder, 'wish.img'), 4 * MiB);
  await using disk = await loopDisk(8 * MiB);
  const before = await digestOf(disk.path, disk.size);
  const unwritten = async () => assert.equal(await digestOf(disk.path, disk.size), before);
  const { folder: packed } = await packedApp();
  await using stage = await PolkitStage.raise(join(packed, 'resources', 'bty'));
  const open = (user: typeof stage.asker) =>
    openApp({ settings: { allowLoops: true }, words: [image], user });

  {
    await using desk = await open(stage.asker);
    const { page, app } = desk;
    const outside = app.process().pid ?? 0;
    const askers = async () =>
      (await descendantsOf(outside))
        .filter(({ command }) => command.includes('/usr/bin/pkexec'))
        .map(({ pid: each }) => each);
    const asking = async () => (await askers()).length > 0;
    const waiting = () => page.getByRole('heading', { name: 'Waiting for permission' }).waitFor();
    const pid = await app.evaluate(() => process.pid);
    await inspected(page, 'wish.img');

    // Nobody is there who could be asked.
    await flash(page, disk.path);
    await result(page, 'Not written');
    await lane(page, disk.path).getByText('no polkit authentication agent').waitFor();
    await page.getByRole('button', { name: 'Flash another' }).click();

    // The question is closed, and asked again from where the person is.
    await stage.closer(stage.asker, pid);
    await flash(page, disk.path);
    await result(page, 'Cancelled');
    await page.getByText('Nothing was written').waitFor();
    await stage.endAgent();
    await stage.agent(stage.asker, pid);
    await page.getByRole('button', { name: 'Ask again' }).click();

    // The app takes it back: with the window closed nobody is asked for anything.
    await stage.asking();
    await waiting();
    assert.equal(await page.getByRole('button', { name: 'Add a disk…' }).isDisabled(), true);
    await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
    await page.getByRole('alertdialog').getByText('takes the question back').waitFor();
    await page.getByRole('button', { name: 'Keep waiting' }).click();
    assert.equal(await asking(), true);
    await page.getByRole('button', { name: 'Cancel', exact: true }).click();
    await result(page, 'Cancelled');
    await until(async () => !(await asking()), 'the question is taken back');
    await stage.endAgent();
    await unwritten();

    // A wrong password, and then the right one.
    await stage.agent(stage.asker, pid);
    await page.getByRole('button', { name: 'Flash another' }).click();
    await flash(page, disk.path);
    assert.match(await stage.asking(), /bty needs permission to overwrite the disks that you chose/);
    await stage.type('not the password');
    await result(page, 'Not written');
    await lane(page, disk.path).getByText('the password was wrong').waitFor();
    await unwritten();
    await stage.endAgent();
    await stage.agent(stage.asker, pid);
    await page.getByRole('button', { name: 'Try the failed one again' }).click();
    await stage.asking();
    await waiting();
    await stage.type(stage.password);
    await result(page, 'Written and verified');
    assert.equal(await digestOf(disk.path, 4 * MiB), await digestOf(image, 4 * MiB));
    await stage.endAgent();

    // Taken back when root's helper runs already and has not said a word: no signal of ours reaches it any more.
    await using other = await loopDisk(8 * MiB);
    const blank = await digestOf(other.path, other.size);
    await page.getByRole('button', { name: 'Flash another' }).click();
    await stage.agent(stage.asker, pid);
    await flash(page, other.path);
    await stage.asking();
    const program = join(packed, 'resources', 'bty');
    const asked = await askers();
    await stage.type(stage.password);
    // What was pkexec is the helper from some moment on, and is stopped before it can have said a word.
    let helper = 0;
    for (const end = performance.now() + patience; helper === 0; await pause(1)) {
      assert.ok(performance.now() < end, 'permission was given');
      for (const each of asked)
        if ((await readlink(`/proc/${each}/exe`).catch(() => '')) === program) helper = each;
    }
    process.kill(helper, 'SIGSTOP');
    await page.getByRole('button', { name: 'Cancel', exact: true }).click();
    await page.getByRole('button', { name: 'Cancelling…' }).waitFor();
    process.kill(helper, 'SIGCONT');
    await result(page, 'Cancelled');
    await page.getByText('Nothing was written').waitFor();
    assert.equal(await digestOf(other.path, other.size), blank);
    await stage.endAgent();

    // Unplugged while the question stands: what was allowed was another disk.
    await page.getByRole('button', { name: 'Flash another' }).click();
    await stage.agent(stage.asker, pid);
    await flash(page, other.path);
    await stage.asking();
    await other.unplug();
    await stage.type(stage.password);
    await result(page, 'Not written');
    await lane(page, other.path).getByText('no medium').waitFor();
    assert.deepEqual(desk.complaints, []);
  }

  // Somebody whom the policy refuses is not asked for a password.
  const written = await digestOf(disk.path, disk.size);
  await using desk = await open(stage.denied);
  await stage.agent(stage.denied, await desk.app.evaluate(() => process.pid));
  await inspected(desk.page, 'wish.img');
  await diskRow(desk.page, disk.path).waitFor();
  await flash(desk.page, disk.path);
  await result(desk.page, 'Not written');
  await lane(desk.page, disk.path).getByText('policy of this system').waitFor();
  assert.equal(await digestOf(disk.path, disk.size), written);
});
