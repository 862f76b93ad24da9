import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keyGroups, keyText } from './help.ts';
import type { State } from './state.ts';
import { after, key, picking, press } from './testing.ts';
import { view } from './view.ts';

const document = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'tui.md'), 'utf8');

/** A screen as the document shows it. */
function screen(state: State, columns = 80, rows = 24): string {
  const lines = view(state, { columns, rows }, 'ascii').map(({ text }) => text.trimEnd());
  return `\`\`\`text\n${lines.join('\n')}\n\`\`\``;
}

const picked = after(picking(), key('enter'), key('enter'));
const review = {
  image: 'alpine.img',
  format: 'img',
  storedBytes: 5e6,
  imageBytes: 5e6,
  sha256: null,
  notes: [],
  refusals: [],
};
const reviewed = after(picked, key('enter'), { kind: 'probed', review });
const target = '/dev/sdb';
const targets = [{ target, size: 16e9 }];
const sizes = { storedBytes: 1e9, imageBytes: 1e9 };
const writing = after(
  reviewed,
  { kind: 'armed' },
  key('enter'),
  { kind: 'clock', now: 0 },
  { kind: 'flash', event: { kind: 'started', at: 0, image: 'alpine.img', format: 'img', ...sizes, targets } },
  { kind: 'flash', event: { kind: 'phase', at: 0, target, phase: 'writing' } },
  { kind: 'flash', event: { kind: 'source', at: 0, storedBytes: 1, imageBytes: 1, bottleneck: 'disk' } },
  {
    kind: 'flash',
    event: { kind: 'progress', at: 10_000, target, phase: 'writing', bytes: 420e6, total: 1e9 },
  },
  { kind: 'clock', now: 10_000 },
);

test('the screens of the document are those of the program', () => {
  const screens = {
    picking: screen(picked),
    'an unusable disk': screen(after(picking(), key('enter'), key('up'))),
    review: screen(reviewed),
    writing: screen(writing),
    help: screen(after(picking(), press('?'))),
    'a small terminal': screen(after(picking(), key('tab')), 40, 10),
    live: screen(picking({ live: true, title: 'rack 4, box 2' })),
  };
  for (const [name, shown] of Object.entries(screens))
    assert.ok(document.includes(shown), `docs/tui.md lacks this screen (${name}):\n${shown}`);
});

test('the document names every key of every screen', () => {
  for (const live of [false, true])
    for (const { bindings } of keyGroups(picking({ live })))
      for (const { keys, does } of bindings)
        assert.ok(
          document.includes(`\`${keyText(keys).replaceAll(' ', '` `')}\``),
          `docs/tui.md lacks \`${keyText(keys).replaceAll(' ', '` `')}\`: ${does}`,
        );
});
