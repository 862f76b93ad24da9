import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { barriers } from './axe.ts';

const screens = join(import.meta.dirname, '..', '..', 'docs', 'screens');
/** Screenshots are made when asked for: BTY_SCREENS=1. */
const wanted = process.env.BTY_SCREENS === '1';

/** Judges the screen in both colours, and keeps a picture of each; what it finds goes into `found`. */
export async function look(page: Page, name: string, found: string[]): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    found.push(...(await barriers(page)).map((barrier) => `${name}, ${colorScheme}: ${barrier}`));
    if (!wanted) continue;
    await mkdir(screens, { recursive: true });
    await page.screenshot({ path: join(screens, `${name}-${colorScheme}.png`) });
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
}
