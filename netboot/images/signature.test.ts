import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { parsePublicKey, verifySignature } from './signature.ts';

const skip = spawnSync('minisign', ['-v']).status === 0 ? false : 'minisign is not installed';
const folder = mkdtempSync(join(tmpdir(), 'bty-minisign-'));
after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

function signed(options: readonly string[] = []) {
  execFileSync('minisign', ['-G', '-f', '-W', '-p', path('pub'), '-s', path('key')], { stdio: 'ignore' });
  const content = Buffer.from('0123  kernel\n');
  writeFileSync(path('list'), content);
  const sign = ['-S', ...options, '-s', path('key'), '-m', path('list'), '-t', 'bty 1.2.3'];
  execFileSync('minisign', sign, { stdio: 'ignore' });
  const key = parsePublicKey(readFileSync(path('pub'), 'utf8')) ?? assert.fail('no key');
  return { content, key, signature: readFileSync(path('list.minisig'), 'utf8') };
}

test('what the program minisign signs is verified, in its new form and its old one', { skip }, () => {
  for (const options of [[], ['-l']]) {
    const { content, key, signature } = signed(options);
    assert.deepEqual(verifySignature(content, signature, key), { kind: 'valid', comment: 'bty 1.2.3' });
    const other = Buffer.from('0124  kernel\n');
    assert.match(JSON.stringify(verifySignature(other, signature, key)), /not one of its list/);
    const renamed = signature.replace('bty 1.2.3', 'bty 9.9.9');
    assert.match(JSON.stringify(verifySignature(content, renamed, key)), /comment of its signature/);
  }
});

test('a signature by another key is refused with the names of both', { skip }, () => {
  const [one, other] = [signed(), signed()];
  const result = verifySignature(one.content, one.signature, other.key);
  assert.match(JSON.stringify(result), /signed by the key [0-9A-F]{16}, expected is [0-9A-F]{16}/);
});

test('no other text is a valid signature, whatever it is', { skip }, () => {
  const { content, key, signature } = signed();
  const mutated = fc
    .tuple(fc.nat(signature.length - 1), fc.string({ maxLength: 3 }))
    .map(([at, text]) => signature.slice(0, at) + text + signature.slice(at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.string(), mutated), (text) => {
      const result = verifySignature(content, text, key);
      if (result.kind === 'invalid') return;
      // The first comment is nobody's, and base64 and line ends have more than one spelling.
      const lines = (all: string) =>
        all
          .split(/\r?\n/)
          .slice(1, 4)
          .map((line) => line.replace(/=+$/, ''));
      const [first, comment, second] = lines(text);
      const same = (line = '', like = '') => Buffer.from(line, 'base64').equals(Buffer.from(like, 'base64'));
      const [ours, trusted, whole] = lines(signature);
      assert.ok(same(first, ours) && same(second, whole) && comment === trusted, text);
    }),
  );
});
