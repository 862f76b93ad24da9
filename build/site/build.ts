/** Builds the documentation in `docs/` into a static site by Eleventy, without any network. */
import { cp, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { Eleventy } from '@11ty/eleventy';
import { framed, styles } from './page.ts';
import { configurationPage, eventsPage, failuresPage } from './reference.ts';

/** The part of Eleventy's configuration that is used here; the package brings no types. */
interface Settings {
  setTemplateFormats(formats: readonly string[]): void;
  addTemplate(path: string, content: string): void;
  addGlobalData(name: string, value: unknown): void;
  addTransform(
    name: string,
    transform: (this: { page: { filePathStem: string } }, content: string) => string,
  ): void;
  amendLibrary(name: 'md', change: (library: MarkdownIt) => void): void;
}
interface Token {
  readonly type: string;
  readonly content: string;
  readonly children: readonly Token[] | null;
  attrSet(name: string, value: string): void;
  attrGet(name: string): string | null;
}
interface MarkdownIt {
  set(options: { html: boolean }): void;
  core: { ruler: { push(name: string, rule: (state: { tokens: readonly Token[] }) => void): void } };
}

/** The anchor that a heading has on the usual forges, so that links work there and here. */
export function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}

/** Links between the documents lead to pages; other files of the repository have none. */
function linked(href: string): string {
  if (/^[a-z]+:|^#/i.test(href)) return href;
  return href.replace(/\.md(#|$)/, '.html$1');
}

function change(tokens: readonly Token[]): void {
  const seen = new Map<string, number>();
  tokens.forEach((token, at) => {
    if (token.type === 'heading_open') {
      const anchor = anchorOf((tokens[at + 1]?.children ?? []).map(({ content }) => content).join(''));
      const times = seen.get(anchor) ?? 0;
      seen.set(anchor, times + 1);
      token.attrSet('id', times === 0 ? anchor : `${anchor}-${times}`);
    }
    for (const child of token.children ?? []) {
      const href = child.type === 'link_open' ? child.attrGet('href') : null;
      if (href !== null) child.attrSet('href', linked(href));
    }
  });
}

/** Writes the site for the documents of the checkout `root` into the folder `to`. */
export async function buildSite(root: string, to: string, version: string): Promise<void> {
  const docs = join(root, 'docs');
  const site = new Eleventy(relative(process.cwd(), docs) || '.', to, {
    quietMode: true,
    configPath: false,
    source: 'script',
    config: (settings: Settings) => {
      // Documents are text: what looks like a template in them is an example.
      settings.addGlobalData('templateEngineOverride', 'md');
      settings.setTemplateFormats(['md']);
      const pages = {
        configuration: configurationPage(),
        failures: failuresPage(),
        events: eventsPage(root),
      };
      for (const [name, text] of Object.entries(pages)) settings.addTemplate(`reference/${name}.md`, text);
      settings.addGlobalData(
        'permalink',
        () => (data: { page: { filePathStem: string } }) => `${data.page.filePathStem}.html`,
      );
      settings.amendLibrary('md', (library) => {
        library.set({ html: true });
        library.core.ruler.push('bty', ({ tokens }) => change(tokens));
      });
      settings.addTransform('frame', function (content) {
        return framed(this.page.filePathStem.replace(/^\//, ''), content, version);
      });
    },
  });
  await site.write();
  await writeFile(join(to, 'site.css'), styles);
  for (const folder of ['screens', 'snippets'])
    await cp(join(docs, folder), join(to, folder), { recursive: true });
  await cp(join(docs, 'task.schema.json'), join(to, 'task.schema.json')).catch(() => {});
}
