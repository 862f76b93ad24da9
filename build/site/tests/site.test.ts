import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { parse as parseYaml } from 'yaml';
import { parse as parseWords } from '../../../agent/cli/parse.ts';
import { splitFlags } from '../../../netboot/commands/explainflags.ts';
import { parseFlags } from '../../../netboot/config/flags.ts';
import { settingNames, variableOf } from '../../../netboot/config/settings.ts';
import { failureCodes } from '../../../shared/failure.ts';
import { root } from '../../release/version.ts';
import { buildSite } from '../build.ts';
import { places } from '../page.ts';
import { eventKinds } from '../reference.ts';

const site = mkdtempSync(join(tmpdir(), 'bty-site-'));
const pages = new Map<string, string>();
before(async () => {
  await buildSite(root, site, '1.2.3');
  for (const name of readdirSync(site, { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.html')) pages.set(name, readFileSync(join(site, name), 'utf8'));
});
after(() => rmSync(site, { recursive: true }));

test('every link and picture of the site leads to what is there, and every anchor to a heading', () => {
  assert.ok(pages.size >= 25, `${pages.size} pages`);
  const broken: string[] = [];
  for (const [name, text] of pages) {
    for (const [, target = ''] of text.matchAll(/(?:href|src)="([^"]*)"/g)) {
      if (/^(https?|mailto):/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? name : join(dirname(name), decodeURIComponent(path));
      // Documents in the folder of the site may also name files of the checkout, which only the forge shows.
      if (file.startsWith('..') && existsSync(join(root, 'docs', file))) continue;
      if (!existsSync(join(site, file))) broken.push(`${name}: ${target}`);
      else if (anchor !== undefined && !pages.get(file)?.includes(` id="${decodeURIComponent(anchor)}"`))
        broken.push(`${name}: ${target} (no such heading)`);
    }
  }
  assert.deepEqual(broken, []);
});

test('the menu names pages that exist, and every page has a title and the menu and asks nobody else for anything', () => {
  const named = places.map(({ stem }) => `${stem}.html`);
  assert.deepEqual(
    named.filter((name) => !pages.has(name)),
    [],
  );
  for (const [name, text] of pages) {
    assert.match(text, /<h1 id=/, name);
    assert.equal(text.match(/aria-current="page"/g)?.length ?? 0, named.includes(name) ? 1 : 0, name);
    assert.doesNotMatch(text, /<script|src="https?:|url\(https?:/, name);
  }
});

test('the reference holds all settings, failures and kinds of events', () => {
  const holds = (page: string, words: readonly string[]) => {
    const text = pages.get(page) ?? assert.fail(page);
    for (const word of words) assert.ok(text.includes(`<code>${word}</code>`), `${page}: ${word}`);
  };
  holds('reference/configuration.html', settingNames.map(variableOf));
  holds('reference/failures.html', failureCodes);
  const kinds = eventKinds(root);
  for (const known of ['machine.created', 'image.uploaded', 'boot.release.fetched'])
    assert.ok(kinds.includes(known), known);
  holds('reference/events.html', kinds);
});

/** Commands in the `sh` blocks of a Markdown text, a line each, continued lines joined. */
function* commands(text: string): Generator<string> {
  for (const [, block = ''] of text.matchAll(/^ *```sh\n(.*?)^ *```/gms)) {
    for (const line of block.replaceAll(/\\\n\s*/g, ' ').split('\n')) {
      const command = line.trim().replace(/\s+#.*$/, '');
      if (command !== '' && !command.startsWith('#')) yield command;
    }
  }
}

/** Words of a simple command, without quotes; settings of variables and `sudo` before it are dropped. */
function words(command: string): string[] {
  // A variable stands for what fits; of digests the form is checked.
  const filled = command.replaceAll('$DIGEST', 'a'.repeat(64));
  const found = [...filled.matchAll(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replaceAll(/["']/g, ''),
  );
  while (/^[A-Z_]+=/.test(found[0] ?? '') || found[0] === 'sudo') found.shift();
  return found;
}

test('every command in the documents is one that the programs take', () => {
  const scripts = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts as Record<
    string,
    string
  >;
  const files = [
    'README.md',
    ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join('docs', name)),
  ];
  const [wrong, seen] = [[] as string[], { bty: 0, 'bty-web': 0, npm: 0 }];
  for (const file of files) {
    for (const command of commands(readFileSync(join(root, file), 'utf8'))) {
      const [program = '', ...rest] = words(command.split(/\s[|>]\s|\s&&\s/)[0] ?? '');
      const complain = (problem: string) => wrong.push(`${relative('.', file)}: ${command}: ${problem}`);
      if (program === 'bty') {
        seen.bty++;
        const parsed = parseWords(rest);
        if (parsed.kind === 'misuse') complain(parsed.problem);
      } else if (program === 'bty-web') {
        seen['bty-web']++;
        try {
          parseFlags(rest[0] === 'explain' ? splitFlags(rest).rest : rest);
        } catch (error) {
          complain(String(error));
        }
      } else if (program === 'npm' && rest[0] === 'run') {
        seen.npm++;
        if (!(rest[1] !== undefined && rest[1] in scripts)) complain('package.json has no such script');
      }
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(seen.bty > 10 && seen['bty-web'] > 5 && seen.npm > 8, JSON.stringify(seen));
});

test('the snippets for continuous integration are YAML with a job that flashes and waits', () => {
  const actions = parseYaml(readFileSync(join(root, 'docs/snippets/github-actions.yml'), 'utf8'));
  const steps = actions.jobs.test.steps as { name?: string; run?: string }[];
  const gitlab = parseYaml(readFileSync(join(root, 'docs/snippets/gitlab-ci.yml'), 'utf8'));
  const scripts = [
    steps.map(({ run = '' }) => run).join('\n'),
    (gitlab.hardware.script as string[]).join('\n'),
  ];
  for (const script of scripts) {
    for (const part of ['/images/', '/machines/$MAC', '"boot_policy', 'last_flashed_at', '$POWER_CYCLE'])
      assert.ok(script.replaceAll('\\"', '"').includes(part), part);
  }
});
