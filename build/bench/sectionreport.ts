/** Sections of the benches that are not the flash engine's, in the terminal and in docs/performance.md. */

import { cells, type Section } from './finding.ts';
import { markdownTable, textTable } from './table.ts';

export interface Told {
  readonly date: string;
  readonly rounds: number;
  readonly load: number;
}

export const sectionText = ({ title, findings }: Section): string =>
  `${title}\n\n${textTable(cells(findings))}\n`;

export function sectionMarkdown({ title, method, findings }: Section, { date, rounds, load }: Told): string {
  const when = `${date}: ${rounds} round(s), load average ${load.toFixed(1)} before.`;
  return `## ${title}\n\n${when} ${method}\n\n${markdownTable(cells(findings))}\n`;
}

const parts = (document: string) => document.split(/^(?=## )/m);

/** Sections of `document` with one of these titles. */
export function sectionsOf(document: string, titles: readonly string[]): readonly string[] {
  return parts(document).filter((part) => titles.some((title) => part.startsWith(`## ${title}\n`)));
}

/** `document` with `section` in the place of the one of the same title, or before the one on repeating. */
export function withSection(document: string, section: string): string {
  const [heading = ''] = section.split('\n');
  const all = parts(document);
  const found = all.findIndex((part) => part.startsWith(`${heading}\n`));
  const repeating = all.findIndex((part) => part.startsWith('## Repeating it'));
  const at = found >= 0 ? found : repeating >= 0 ? repeating : all.length;
  all.splice(at, found >= 0 ? 1 : 0, `${section.trimEnd()}\n\n`);
  return all.join('');
}
