import { existsSync } from 'node:fs';
import type { Locator, Page } from 'playwright-core';

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
  await page.getByRole('article', { name }).waitFor({ timeout: 30_000 });
}
