import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { blankLanguages } from './locales.ts';

const skip = process.platform === 'linux' ? false : 'the live system holds Node.js for Linux';

test('Node.js runs, speaks English and takes common rules for other languages without their tables', {
  skip,
  timeout: 300_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bty-locales-'));
  try {
    const program = await readFile(process.execPath);
    const { bytes, tables } = blankLanguages(program);
    assert.ok(bytes > 10e6 && tables > 500, `${bytes} bytes in ${tables} tables`);
    const path = join(folder, 'node');
    await writeFile(path, program, { mode: 0o755 });
    const script = `
      const words = (text) => [...new Intl.Segmenter().segment(text)].length;
      console.log(JSON.stringify([
        new Intl.NumberFormat('en').format(1234567.5),
        new Intl.NumberFormat('de').format(0.5).length,
        new Date(0).toLocaleDateString('en-US', { timeZone: 'UTC', month: 'long' }),
        ['b', 'ä', 'a'].sort(new Intl.Collator().compare),
        new TextDecoder('shift_jis').decode(new Uint8Array([0x83, 0x65])),
        'e\\u0301'.normalize('NFC'), words('e\\u0301x'), 'ß'.toLocaleUpperCase('de'), /\\p{L}/u.test('ж'),
      ]))`;
    const told: unknown = JSON.parse(execFileSync(path, ['-e', script], { encoding: 'utf8' }));
    assert.deepEqual(told, ['1,234,567.5', 3, 'January', ['a', 'ä', 'b'], 'テ', 'é', 2, 'SS', true]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a program without tables of languages stays as it is', () => {
  for (const content of ['', 'no program', `\x14\0\0\0\0\0\x02\0CmnD`.repeat(3)]) {
    const bytes = Buffer.from(content, 'latin1');
    assert.deepEqual(blankLanguages(bytes), { bytes: 0, tables: 0 });
    assert.equal(bytes.toString('latin1'), content);
  }
});
