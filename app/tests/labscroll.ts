/**
 * `npm run ui:scroll`: scrolls a table of 10 000 machines in Chromium and measures every frame, for a machine that does
 * nothing else. Writes one line; exit code 1 when a frame took longer than 50 ms or
 * showed no rows.
 */
import type { Page } from 'playwright-core';
import { enter, enterMachines, openPage, startBrowser, startLab } from './lab.ts';

/** Longest frame that nobody feels, in milliseconds. */
const longest = 50;

export interface Scrolled {
  readonly frames: number;
  /** Milliseconds of the slowest frame, and of the one that 99 of 100 are faster than. */
  readonly slowest: number;
  readonly p99: number;
  /** Most rows that were drawn at one moment. */
  readonly most: number;
  /** Frames in which no row stood where the table was scrolled to. */
  readonly blank: number;
}

/** Scrolls the table to its end in `frames` frames. The page itself measures, so nothing on the way counts. */
export async function scrollThrough(page: Page, frames: number): Promise<Scrolled> {
  const program = `new Promise((resolve) => {
    const table = document.querySelector('.rows-scroll');
    const step = (table.scrollHeight - table.clientHeight) / ${frames};
    const times = [];
    let most = 0;
    let blank = 0;
    let last = null;
    const isBlank = () => {
      const { left, top, height } = table.getBoundingClientRect();
      return document.elementFromPoint(left + 60, top + height / 2)?.closest('.rows-all .row') == null;
    };
    const frame = (now) => {
      if (last !== null) times.push(now - last);
      last = now;
      most = Math.max(most, document.querySelectorAll('.rows-all .row').length);
      // What the scrolling of the frame before has drawn.
      if (isBlank()) blank++;
      if (times.length >= ${frames}) {
        const sorted = times.toSorted((one, other) => one - other);
        const p99 = sorted[Math.floor(sorted.length * 0.99)];
        table.scrollTop = table.scrollHeight;
        resolve({ frames: times.length, slowest: sorted.at(-1), p99, most, blank });
        return;
      }
      table.scrollTop += step;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  })`;
  return (await page.evaluate(program)) as Scrolled;
}

if (import.meta.main) {
  await using lab = await startLab();
  await enterMachines(lab, 10_000);
  await using browser = await startBrowser();
  await using opened = await openPage(browser);
  const { page } = opened;
  await enter(page, lab, '/ui/machines');
  await page.getByText('10000 machines', { exact: true }).waitFor();
  // Once to warm up: the first frames compile what the others run.
  await scrollThrough(page, 120);
  await page.evaluate("document.querySelector('.rows-scroll').scrollTop = 0");
  const { frames, slowest, p99, most, blank } = await scrollThrough(page, 600);
  process.stdout.write(
    `10000 machines, ${frames} frames: slowest ${slowest.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, at most ${most} rows drawn, ${blank} frames without rows\n`,
  );
  process.exitCode = slowest > longest || blank > 0 ? 1 : 0;
}
