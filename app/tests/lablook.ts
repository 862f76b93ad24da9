import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { barriers } from './axe.ts';

/** Screenshots are made when asked for: BTY_SCREENS=1. */
const wanted = process.env.BTY_SCREENS === '1';
const screens = join(import.meta.dirname, '..', '..', 'docs', 'screens', 'lab');
const phone = { width: 390, height: 844 };

/** Judges what is shown, and keeps a picture of it, in both colours and at both widths. */
export async function look(page: Page, name: string, found: string[]): Promise<void> {
  const desk = page.viewportSize() ?? phone;
  for (const [where, size] of [
    ['desktop', desk],
    ['phone', phone],
  ] as const) {
    await page.setViewportSize(size);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      // A narrow page has the colours and, but for these, the parts of a wide one.
      if (where === 'desktop' || (colorScheme === 'light' && /-machines?$/.test(name)))
        found.push(
          ...(await barriers(page)).map((barrier) => `${name}, ${where}, ${colorScheme}: ${barrier}`),
        );
      const wide = (await page.evaluate('document.documentElement.scrollWidth')) as number;
      if (wide > size.width) found.push(`${name}, ${where}: it is ${wide} pixels wide`);
      if (!wanted) continue;
      await mkdir(screens, { recursive: true });
      await page.screenshot({ path: join(screens, `${name}-${where}-${colorScheme}.png`) });
    }
  }
  await page.setViewportSize(desk);
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
}
