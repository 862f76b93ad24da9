import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatName, guessByName, parseFormat } from './image.ts';

test('the longest suffix of a name decides, in any case', () => {
  const cases: Record<string, string> = {
    'debian.img': 'raw raw .img',
    'Debian.IMG.XZ': 'xz raw .img.xz',
    'server.raw.zst': 'zst raw .raw.zst',
    'core-image.wic.bz2': 'bz2 raw .wic.bz2',
    'netinst.iso': 'raw raw .iso',
    'cloud.qcow2': 'raw qcow2 .qcow2',
    'cloud.qcow2.gz': 'gz qcow2 .qcow2.gz',
    'disk.lz4': 'lz4 null .lz4',
    'disk.img.zip': 'zip raw .img.zip',
    'disk.dd.zstd': 'zst raw .dd.zstd',
  };
  for (const [name, expected] of Object.entries(cases)) {
    const guess = guessByName(name);
    assert.equal(guess?.kind, 'image', name);
    assert.equal(
      guess?.kind === 'image' ? `${guess.packing} ${guess.layout} ${guess.suffix}` : '',
      expected,
      name,
    );
  }
});

test('tarballs are told from packed images', () => {
  for (const name of ['a.tar', 'a.tar.gz', 'a.TGZ', 'a.tar.zst', 'a.tzst', 'rootfs.tar.xz', 'a.tbz2']) {
    assert.equal(guessByName(name)?.kind, 'tarball', name);
  }
});

test('a name without a known suffix announces nothing', () => {
  for (const name of ['latest', 'notes.txt', 'disk.vmdk', '', 'img', 'image.img.part']) {
    assert.equal(guessByName(name), null, name);
  }
});

test('wire names of formats are read back as they were written', () => {
  for (const packing of ['raw', 'gz', 'bz2', 'xz', 'zst', 'lz4', 'zip'] as const) {
    for (const layout of ['raw', 'qcow2'] as const) {
      assert.deepEqual(parseFormat(formatName(packing, layout)), { packing, layout });
    }
  }
  for (const format of ['', 'raw', 'img.raw', 'img.gz.gz', 'iso', 'qcow2.tar', 'IMG', 'img.']) {
    assert.equal(parseFormat(format), null, format);
  }
});
