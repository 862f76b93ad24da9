import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

const source = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Found {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/**
 * What is hard or impossible to use for somebody, as axe sees it once the page is drawn: moderate findings and
 * worse, in words.
 */
export async function barriers(page: Page): Promise<readonly string[]> {
  await page.getByRole('main').waitFor();
  // The page's policy forbids programs that are not its own; a debugger's are beyond it.
  await page.evaluate(`${await source}; undefined`);
  const violations = (await page.evaluate(
    `axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations)`,
  )) as readonly Found[];
  return violations
    .filter(({ impact }) => impact !== 'minor')
    .flatMap(({ id, impact, nodes }) =>
      nodes.map(
        ({ html, failureSummary }) => `${impact} ${id}: ${html.slice(0, 160)} ${failureSummary ?? ''}`,
      ),
    );
}
