import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CpioEntry, cpio, cpioOfFile } from './cpio.ts';

const noCpio = spawnSync('cpio', ['--version']).status === 0 ? false : 'cpio is not installed';

function unpacked(archive: Uint8Array, look: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'bty-cpio-'));
  try {
    const run = spawnSync('cpio', ['-idm', '--quiet', '--no-absolute-filenames'], {
      cwd: folder,
      input: archive,
    });
    assert.equal(run.status, 0, run.stderr.toString());
    look(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the cpio program unpacks what we packed', { skip: noCpio }, () => {
  const content = new TextEncoder().encode('hello');
  const archive = cpio([
    { kind: 'directory', name: 'bin', mode: 0o755 },
    { kind: 'file', name: 'bin/tool', mode: 0o755, content },
    { kind: 'link', name: 'bin/sh', to: 'tool' },
    { kind: 'file', name: 'empty', mode: 0o600, content: new Uint8Array() },
  ]);
  assert.equal(archive.length % 512, 0);
  unpacked(archive, (folder) => {
    assert.equal(readFileSync(join(folder, 'bin/tool'), 'utf8'), 'hello');
    assert.equal(statSync(join(folder, 'bin/tool')).mode & 0o777, 0o755);
    assert.equal(readlinkSync(join(folder, 'bin/sh')), 'tool');
    assert.equal(statSync(join(folder, 'empty')).size, 0);
  });
});

test('an archive of one file has its folders, and only root may read the file', { skip: noCpio }, () => {
  unpacked(cpioOfFile('etc/bty/ticket.json', new TextEncoder().encode('{}')), (folder) => {
    const path = join(folder, 'etc/bty/ticket.json');
    assert.equal(readFileSync(path, 'utf8'), '{}');
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });
});

test('names and contents of any length come back from the cpio program', { skip: noCpio }, () => {
  const files = fc.uniqueArray(
    fc.record({ name: fc.stringMatching(/^[a-z]{1,40}$/), content: fc.uint8Array({ maxLength: 40 }) }),
    { selector: ({ name }) => name, maxLength: 5 },
  );
  fc.assert(
    fc.property(files, (all) => {
      const archive = cpio(all.map((each): CpioEntry => ({ kind: 'file', mode: 0o644, ...each })));
      unpacked(archive, (folder) => {
        for (const { name, content } of all)
          assert.deepEqual(new Uint8Array(readFileSync(join(folder, name))), content);
      });
    }),
    { numRuns: 20 },
  );
});
