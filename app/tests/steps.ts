import { existsSync } from 'node:fs';
import type { ElectronApplication, Locator, Page } from 'playwright-core';

/** Why the app cannot be driven on this machine; false when it can. */
export function whyNoWindow(): string | false {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return 'the Electron to test with is for Linux on x64';
  if (!existsSync('/usr/bin/Xvfb')) return 'Xvfb is not installed';
  if (!existsSync('/usr/lib/x86_64-linux-gnu/libgtk-3.so.0')) return 'GTK 3 is not installed';
  if (process.getuid?.() !== 0) return 'loop devices need root';
  return false;
}

/** The row of the disk at `path`. */
export function diskRow(page: Page, path: string): Locator {
  return page.locator('.disk').filter({ has: page.getByText(new RegExp(`(^| · )${path}( · |$)`)) });
}

/** Waits until the image called `name` was looked into. */
export async function inspected(page: Page, name: string): Promise<void> {
  await page.getByRole('article', { name }).waitFor();
}

/** Chooses the image at `path` as the system's file dialog would give it. */
export async function choose(app: ElectronApplication, page: Page, path: string): Promise<void> {
  await app.evaluate(({ dialog }, chosen) => {
    dialog.showOpenDialog = async () => ({ canceled: false, filePaths: [chosen] });
  }, path);
  await page.getByRole('button', { name: 'Choose a file…' }).click();
}

export async function goTo(
  page: Page,
  place: 'Flash' | 'Network boot' | 'History' | 'Settings',
): Promise<void> {
  await page.getByRole('navigation').getByRole('button', { name: place }).click();
}

/** Why disks that fail when they are told to cannot be made here; false when they can. */
export function whyNoFaults(): string | false {
  if (!existsSync('/dev/fuse')) return 'needs /dev/fuse';
  return existsSync('/usr/lib/python3/dist-packages/fusepy.py') ? false : 'needs python3-fusepy';
}

/** Chooses the image at `url` in the sheet for addresses. */
export async function chooseAddress(page: Page, url: string): Promise<void> {
  await page.getByRole('button', { name: 'From an address…' }).click();
  await page.getByLabel('Address', { exact: true }).fill(url);
  await page.getByRole('button', { name: 'Open' }).click();
}

/** Writes to the disks at `paths`, one click each and one to begin. */
export async function flash(page: Page, ...paths: readonly string[]): Promise<void> {
  for (const path of paths) await diskRow(page, path).click();
  await page.getByText(/Everything on (it|them) will be lost/).waitFor();
  await page
    .getByRole('button', { name: /^Flash( \d+ disks)?$/ })
    .last()
    .click();
}

/** Waits for the headline of the result. */
export async function result(page: Page, headline: string | RegExp): Promise<void> {
  await page.getByRole('heading', { name: headline }).waitFor();
}

/** The lane of the disk at `path`. */
export function lane(page: Page, path: string): Locator {
  return page.locator('.lane').filter({ hasText: path });
}

/** Ends network boot, and waits until the appliance has ended. */
export async function stopAppliance(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await page.getByRole('heading', { name: 'Boot machines over the network' }).waitFor();
}
