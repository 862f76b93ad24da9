import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { Failure } from '../../shared/failure.ts';
import { NO_TABLE, recognise, recogniseInner, recogniseTail } from './recognise.ts';

function bytes(length: number, ...parts: readonly (readonly [number, string])[]): Uint8Array {
  const buffer = Buffer.alloc(length);
  for (const [at, text] of parts) buffer.write(text, at, 'latin1');
  return buffer;
}

function refusal(head: Uint8Array, name: string): Failure {
  try {
    recognise(head, name, name);
  } catch (error) {
    assert.ok(error instanceof Failure, String(error));
    return error;
  }
  return assert.fail(`${name} was accepted`);
}

const mbr = bytes(1024, [510, '\x55\xaa']);
const packed: Record<string, Uint8Array> = {
  gz: gzipSync('disk'),
  xz: bytes(64, [0, '\xfd7zXZ\0']),
  zst: zstdCompressSync('disk'),
  bz2: bytes(64, [0, 'BZh91AY&SY']),
  lz4: bytes(64, [0, '\x04\x22\x4d\x18']),
  zip: bytes(64, [0, 'PK\x03\x04']),
};

test('packings are recognised by content, whatever the name', () => {
  for (const [packing, head] of Object.entries(packed)) {
    for (const name of [`disk.img.${packing}`, `disk.${packing}`, 'download']) {
      assert.deepEqual(recognise(head, name, name), { packing, layout: null, mismatch: null, notes: [] });
    }
  }
});

test('a packed image named as a raw one is believed by content, and the disagreement is told', () => {
  for (const [packing, head] of Object.entries(packed)) {
    const found = recognise(head, 'disk.img', 'disk.img');
    assert.equal(found.packing, packing);
    assert.equal(
      found.mismatch,
      `The name ends in .img, but the content is packed with ${packing}; the content is believed.`,
    );
  }
});

test('a raw disk named as a packed one is believed by content, and the disagreement is told', () => {
  const found = recognise(mbr, 'disk.img.gz', 'disk.img.gz');
  assert.equal(found.packing, 'raw');
  assert.equal(found.layout, 'raw');
  assert.match(found.mismatch ?? '', /ends in \.img\.gz, but the content is a raw disk/);
});

test('raw disks are recognised by MBR, GPT, ISO 9660 and file systems without help of the name', () => {
  const heads: Record<string, Uint8Array> = {
    mbr,
    gpt512: bytes(2048, [512, 'EFI PART']),
    gpt4096: bytes(8192, [4096, 'EFI PART']),
    iso: bytes(65536, [32768, '\x01CD001\x01']),
    ext4: bytes(4096, [1024 + 56, '\x53\xef']),
    btrfs: bytes(128 * 1024, [65536 + 64, '_BHRfS_M']),
    apple: bytes(4096, [0, 'ER'], [512, 'PM\0\0']),
  };
  for (const [name, head] of Object.entries(heads)) {
    assert.deepEqual(
      recognise(head, name, name),
      { packing: 'raw', layout: 'raw', mismatch: null, notes: [] },
      name,
    );
  }
});

test('a raw name is enough for content without any signature, with a note', () => {
  for (const head of [Buffer.alloc(1), Buffer.alloc(512), Buffer.from([1, 2, 3]), Buffer.alloc(4096, 'x')]) {
    for (const name of ['a.img', 'a.RAW', 'a.bin', 'a.iso', 'a.wic', 'a.dd']) {
      const found = recognise(head, name, name);
      assert.deepEqual(found, { packing: 'raw', layout: 'raw', mismatch: null, notes: [NO_TABLE] });
    }
  }
});

test('neither content nor name known is an unknown format', () => {
  assert.equal(refusal(Buffer.from([1, 2, 3]), 'download').code, 'FORMAT_UNKNOWN');
});

test('a packed name whose content is neither packed nor a disk is damaged', () => {
  for (const name of ['a.img.gz', 'a.xz', 'a.zst', 'a.qcow2']) {
    assert.equal(refusal(Buffer.alloc(600), name).code, 'IMAGE_CORRUPT', name);
  }
});

test('an empty file is refused as empty', () => {
  assert.equal(refusal(new Uint8Array(0), 'a.img').code, 'IMAGE_EMPTY');
});

test('qcow2 versions 2 and 3 are read and others are refused by name', () => {
  for (const version of ['\x02', '\x03']) {
    const found = recognise(bytes(104, [0, `QFI\xfb\0\0\0${version}`]), 'cloud.img', 'cloud.img');
    assert.equal(found.packing, 'raw');
    assert.equal(found.layout, 'qcow2');
    assert.match(found.mismatch ?? '', /ends in \.img, but the content is qcow2/);
  }
  const old = refusal(bytes(104, [0, 'QFI\xfb\0\0\0\x01']), 'a.qcow2');
  assert.equal(old.code, 'IMAGE_UNSUPPORTED');
  assert.match(old.message, /version 1 \(qcow\)/);
});

test('zstd and lz4 share skippable frames: what follows decides, then the name', () => {
  const skippable = (length: number) => Buffer.from([0x5a, 0x2a, 0x4d, 0x18, length, 0, 0, 0, 1, 2, 3]);
  const zst = Buffer.concat([skippable(3), packed.zst ?? mbr]);
  assert.equal(recognise(zst, 'a', 'a').packing, 'zst');
  assert.equal(recognise(Buffer.concat([skippable(3), packed.lz4 ?? mbr]), 'a', 'a').packing, 'lz4');
  assert.equal(recognise(skippable(200), 'a.img.lz4', 'a').packing, 'lz4');
  assert.equal(recognise(skippable(200), 'a.img.zst', 'a').packing, 'zst');
});

test('variants of packings that are not read are refused by name', () => {
  for (const head of ['\x02\x21\x4c\x18', '\x25\xb5\x2f\xfd', 'PK\x07\x08']) {
    assert.equal(refusal(bytes(64, [0, head]), 'a.img').code, 'IMAGE_UNSUPPORTED');
  }
});

test('files of other kinds are refused with what they are and what to do', () => {
  const cases: ReadonlyArray<readonly [string, Uint8Array, RegExp]> = [
    ['a.img', bytes(1024, [257, 'ustar\x0000']), /a tar archive.*tar xf/],
    ['a.tar.gz', packed.gz ?? mbr, /a tar archive/],
    ['a.tar', Buffer.alloc(10240, 1), /a tar archive/],
    ['a.img', bytes(64, [0, 'partclone-image0002']), /partclone.*Clonezilla/],
    ['sda1.ext4-ptcl-img.gz', packed.gz ?? mbr, /a part of a Clonezilla image/],
    ['a', bytes(64, [0, '7z\xbc\xaf\x27\x1c']), /a 7-Zip archive/],
    ['a', bytes(64, [0, 'Rar!\x1a\x07\x01']), /a RAR archive/],
    ['a', bytes(64, [0, '!<arch>\ndebian-binary   ']), /a Debian package/],
    ['a', bytes(64, [0, '070701000102030405060708090a0b']), /a cpio archive/],
    ['a', bytes(64, [0, 'KDMV\x01']), /a VMDK virtual disk.*qemu-img convert/],
    ['a', bytes(64, [0, '# Disk DescriptorFile\n']), /a VMDK virtual disk/],
    ['a', bytes(64, [0, 'vhdxfile']), /a VHDX virtual disk/],
    ['a', bytes(64, [0, 'conectix']), /a VHD virtual disk/],
    ['disk.vhd', mbr, /a VHD virtual disk/],
    ['a', bytes(128, [64, '\x7f\x10\xda\xbe']), /VDI/],
    ['a.dmg', Buffer.alloc(100, 7), /Apple disk image/],
    ['a', bytes(64, [0, 'MSWIM\0\0\0']), /WIM/],
    ['root', bytes(96, [0, 'hsqs'], [28, '\x04']), /SquashFS/],
    ['a', bytes(64, [0, '\x3a\xff\x26\xed']), /Android sparse image.*simg2img/],
    ['a.bin', bytes(64, [0, '\x7fELF']), /a program \(ELF\)/],
    ['a.img', bytes(256, [0, 'MZ'], [60, '\x80'], [128, 'PE\0\0']), /a Windows program/],
    ['a', bytes(64, [0, '%PDF-1.7']), /a PDF document/],
    ['a.img', Buffer.from('\ufeff\n <!DOCTYPE html>\n<html><body>404</body></html>'), /a web page/],
    ['a.img', Buffer.from('<html><head><title>Sign in</title>'), /a web page/],
    [
      'a.iso',
      Buffer.from('<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>'),
      /an XML document/,
    ],
    ['a.img', Buffer.from('<?xml version="1.0" ?>\n<!-- x -->\n<bmap version="2.0">'), /a block map/],
    ['a.img', Buffer.from('{"detail": "Not Found"}'), /a JSON document/],
    ['a.img', Buffer.from('[{"name": "x"}]'), /a JSON document/],
    ['a.img', Buffer.from('#!/bin/sh\nset -e\n'), /a script/],
    ['a.img', Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:00\n'), /git lfs pull/],
    ['a.img', Buffer.from(`${'0f'.repeat(32)}  debian.img\n`), /a list of checksums/],
    ['notes', Buffer.from('Dear reader,\n'), /a text file/],
    ['a.img.part', Buffer.alloc(512, 9), /an unfinished download/],
    ['a.lzma', Buffer.from('5d00008000ffffffffffffffff00aa', 'hex'), /LZMA/],
    ['a', bytes(64, [0, 'PK\x05\x06']), /an empty zip archive/],
  ];
  for (const [name, head, expected] of cases) {
    const found = refusal(head, name);
    assert.equal(found.code, 'IMAGE_REFUSED', `${name} ${expected}: ${found.code}`);
    assert.match(found.message, expected);
    assert.match(found.message, /, not a disk image\. \S/);
  }
});

test('a tar header without the ustar magic is known by its checksum', () => {
  const head = Buffer.alloc(1024);
  head.write('disk.img');
  head.write('0000644\0', 100);
  head.write('00000000010\0', 124);
  head.fill(' ', 148, 156);
  const sum = head.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  assert.match(refusal(head, 'a.img').message, /a tar archive/);
});

test('a bare SquashFS passes when its name says that it is an image', () => {
  const head = bytes(4096, [0, 'hsqs'], [28, '\x04']);
  assert.equal(recognise(head, 'appliance.img', 'appliance.img').layout, 'raw');
});

test('a raw disk that a Mac named .dmg is accepted, and the disagreement is told', () => {
  assert.match(recognise(mbr, 'ubuntu.img.dmg', 'x').mismatch ?? '', /DMG\), but its content is a raw disk/);
});

test('what was packed is recognised by a second look', () => {
  assert.deepEqual(recogniseInner(mbr, 'a.img.gz'), { layout: 'raw', notes: [] });
  assert.equal(recogniseInner(bytes(104, [0, 'QFI\xfb\0\0\0\x03']), 'a').layout, 'qcow2');
  assert.deepEqual(recogniseInner(Buffer.alloc(600), 'a.gz'), { layout: 'raw', notes: [NO_TABLE] });
  assert.deepEqual(recogniseInner(Buffer.from('xxx'), 'a.img.gz', 'a.img.gz').layout, 'raw');
  const refused: ReadonlyArray<readonly [Uint8Array, RegExp]> = [
    [bytes(1024, [257, 'ustar ']), /a tar archive/],
    [packed.xz ?? mbr, /packed twice.*with xz/],
    [Buffer.from('plain words'), /a text file/],
    [new Uint8Array(0), /is empty/],
    [bytes(64, [0, 'partclone-image']), /partclone/],
  ];
  for (const [head, expected] of refused) {
    assert.throws(() => recogniseInner(head, 'a.gz'), expected);
  }
});

test('text made to be slow to match is refused at once', () => {
  const slow = ['<!---->', '<?xml ', '<a ', '{"', '[[', '<!DOCTYPE [', '#! '].map((part) =>
    part.repeat(2000),
  );
  for (const text of slow) {
    const start = performance.now();
    assert.ok(refusal(Buffer.from(text), 'a').code);
    assert.ok(performance.now() - start < 60_000, text.slice(0, 20));
  }
});

test('the trailers of a fixed VHD and of a DMG are refused', () => {
  assert.throws(() => recogniseTail(bytes(512, [0, 'conectix\0\0\0\x02']), 'a'), /a VHD virtual disk/);
  assert.throws(() => recogniseTail(bytes(1024, [512, 'koly\0\0\0\x04\0\0\x02\0']), 'a'), /Apple disk image/);
  recogniseTail(bytes(512), 'a');
  recogniseTail(bytes(10), 'a');
});

test('random bytes and mutated signatures are recognised or refused, never anything else', () => {
  const magics = [
    ...Object.values(packed),
    mbr,
    bytes(104, [0, 'QFI\xfb\0\0\0\x03']),
    bytes(1024, [257, 'ustar']),
  ];
  const seeded = fc
    .tuple(fc.constantFrom(...magics), fc.uint8Array({ maxLength: 600 }), fc.nat(600))
    .map(([magic, noise, at]) => {
      const mixed = Uint8Array.from(magic);
      mixed.set(noise.subarray(0, Math.max(0, mixed.length - at)), Math.min(at, mixed.length));
      return mixed;
    });
  const names = fc.constantFrom('a.img', 'a.gz', 'a.tar', 'a', 'a.vhd', '', 'a.qcow2', 'a.img.zst');
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 4096 }), seeded), names, (head, name) => {
      for (const look of [() => recognise(head, name, name), () => recogniseInner(head, name, name)]) {
        try {
          look();
        } catch (error) {
          assert.ok(error instanceof Failure && error.code !== 'INTERNAL', String(error));
        }
      }
    }),
    { numRuns: 500 },
  );
});
