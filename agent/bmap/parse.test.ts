import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { Failure } from '../../shared/failure.ts';
import { mostRanges } from './document.ts';
import { mostBmapBytes } from './file.ts';
import { parseBmap } from './parse.ts';
import { type MapParts, mapText, sealed } from './testing.ts';

const parse = (text: string) => parseBmap(Buffer.from(text), 'disk.bmap');

function refused(text: string | Uint8Array, problem: RegExp): void {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  assert.throws(
    () => parseBmap(bytes, 'disk.bmap'),
    (error) => {
      assert.ok(error instanceof Failure, String(error));
      assert.equal(error.code, 'BMAP_INVALID');
      assert.match(error.message, /^The block map disk\.bmap cannot be used: /);
      assert.match(error.message, problem);
      assert.ok(error.message.length < 600, 'a hostile map does not fill the screen');
      return true;
    },
  );
}

const sha256 = 'ab'.repeat(32);
const sha1 = 'CD'.repeat(20);

test('a map of version 2.0 tells the mapped ranges in bytes, the last one cut at the end of the image', () => {
  const ranges = [`<Range chksum="${sha256}"> 0 </Range>`, '<Range> 2 </Range>'];
  assert.deepEqual(parse(mapText({ ranges })), {
    name: 'disk.bmap',
    version: '2.0',
    imageSize: 10_000,
    blockSize: 4096,
    ranges: [
      { offset: 0, length: 4096, checksum: { algorithm: 'sha256', hex: sha256 } },
      { offset: 8192, length: 10_000 - 8192, checksum: null },
    ],
    mappedBytes: 4096 + 10_000 - 8192,
    signature: null,
  });
});

test('ranges that touch stay apart, because each has its own checksum', () => {
  const { ranges, mappedBytes } = parse(
    mapText({ ranges: ['0-1', '2-2'], fields: { MappedBlocksCount: 3 } }),
  );
  assert.deepEqual(
    ranges.map(({ offset, length }) => [offset, length]),
    [
      [0, 8192],
      [8192, 1808],
    ],
  );
  assert.equal(mappedBytes, 10_000);
});

test('a map of nothing is a map', () => {
  assert.deepEqual(parse(mapText({ ranges: [], fields: { MappedBlocksCount: 0 } })).ranges, []);
});

test('a map of version 1.2 has no checksum of itself, and SHA-1 of its ranges', () => {
  const map = parse(
    mapText({ version: '1.2', algorithm: null, ranges: [`<Range sha1="${sha1}"> 0-1 </Range>`] }),
  );
  assert.equal(map.version, '1.2');
  assert.deepEqual(map.ranges, [
    { offset: 0, length: 8192, checksum: { algorithm: 'sha1', hex: sha1.toLowerCase() } },
  ]);
});

test('a map of version 1.3 states its own SHA-1 and those of its ranges', () => {
  const text = mapText({
    version: '1.3',
    algorithm: 'sha1',
    ranges: [`<Range sha1="${sha1}"> 0 </Range>`, '2'],
  });
  assert.match(text, /<BmapFileSHA1> [0-9a-f]{40} </);
  assert.equal(parse(text).ranges[0]?.checksum?.algorithm, 'sha1');
  refused(text.replace('> 0 <', '> 1 <'), /changed or damaged: its own sha1/);
});

test('a map of version 1.4 names the checksum that it uses', () => {
  const ranges = [`<Range chksum="${sha1}"> 0 </Range>`, '2'];
  const map = parse(mapText({ version: '1.4', algorithm: 'sha1', ranges }));
  assert.deepEqual(map.ranges[0]?.checksum, { algorithm: 'sha1', hex: sha1.toLowerCase() });
  const strong = [`<Range chksum="${sha256.repeat(2)}"> 0 </Range>`, '2'];
  assert.equal(parse(mapText({ algorithm: 'sha512', ranges: strong })).ranges[0]?.checksum?.hex.length, 128);
});

test('what newer minor versions may add is passed over', () => {
  const text = mapText({
    version: '2.7',
    fields: { Later: '<deep><er a="b">text</er></deep>', Note: '<![CDATA[ <x> ]]>' },
    ranges: [`<Range color="red" chksum="${sha256}"> 0 <!-- the first --></Range>`, '2', '<Hole> 1 </Hole>'],
    before: '<!-- \u00fcber -->\n<?style none?>\n',
    after: '\n<!-- end -->',
  });
  assert.equal(parse(text).ranges.length, 2);
  assert.equal(parse(sealed(`\ufeff${mapText().replace(/[0-9a-f]{64}/, '0'.repeat(64))}`)).version, '2.0');
});

test('a map in an OpenPGP clear-text signature is taken out of it, and the signature is told', () => {
  const text = mapText({ before: '<!-- a line that begins with a dash:\n- it is escaped\n-->\n' });
  const wrap = (content: string, end = '-----END PGP SIGNATURE-----\n') =>
    [
      '-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n',
      content.replace(/^-/gm, '- -'),
      content.endsWith('\n') ? '' : '\n',
      '-----BEGIN PGP SIGNATURE-----\n\niHUEARYIAB0WIQRrAl6q\n=QroD\n',
      end,
    ].join('');
  const map = parse(wrap(text));
  assert.equal(map.signature, 'OpenPGP, within the file');
  assert.deepEqual({ ...map, signature: null }, parse(text));
  const unended = sealed(
    mapText()
      .replace(/[0-9a-f]{64}/, '0'.repeat(64))
      .trimEnd(),
  );
  assert.equal(parse(wrap(unended)).version, '2.0');
  const crlf = sealed(
    mapText()
      .replace(/[0-9a-f]{64}/, '0'.repeat(64))
      .replaceAll('\n', '\r\n'),
  );
  assert.equal(parse(wrap(crlf)).version, '2.0');
  refused(wrap(text.replace('> 2 <', '> 1 <')), /changed or damaged/);
  refused(wrap(text, ''), /the signature around it is not complete/);
  refused('-----BEGIN PGP SIGNED MESSAGE-----\n', /not complete/);
});

const wrong: Readonly<Record<string, readonly [MapParts, RegExp]>> = {
  'a range outside of the image': [{ ranges: ['0', '3'] }, /the range 3 lies outside the image of 3 blocks/],
  'ranges that overlap': [{ ranges: ['0-1', '1'] }, /the range 1 overlaps/],
  'ranges out of order': [
    { ranges: ['2', '0'] },
    /the range 0 overlaps the one before it, or comes too late/,
  ],
  'a range that ends before it begins': [{ ranges: ['2-0'] }, /the range 2-0 ends before it begins/],
  'a range that is no number': [{ ranges: ['0', 'two'] }, /"two" is no range of blocks/],
  'a negative block': [{ ranges: ['-1', '2'] }, /"-1" is no range/],
  'an empty range': [{ ranges: ['0', ''] }, /"" is no range/],
  'a wrong count of mapped blocks': [
    { fields: { MappedBlocksCount: 3 } },
    /states 3 mapped blocks and maps 2/,
  ],
  'a wrong count of blocks': [{ fields: { BlocksCount: 4 } }, /10000 bytes are not 4 blocks of 4096/],
  'no image size': [{ fields: { ImageSize: null } }, /does not state ImageSize/],
  'an image of no bytes': [{ fields: { ImageSize: 0, BlocksCount: 0 } }, /image of 0 bytes/],
  'a fraction': [{ fields: { ImageSize: '10000.5' } }, /the number "10000\.5" of ImageSize/],
  'a number beyond 2^53': [{ fields: { ImageSize: '9007199254740993' } }, /"9007199254740993" of ImageSize/],
  'a number of a hundred digits': [{ fields: { BlocksCount: '9'.repeat(100) } }, /of BlocksCount is none/],
  'a number in another notation': [{ fields: { BlockSize: '0x1000' } }, /"0x1000" of BlockSize/],
  'blocks of no bytes': [{ fields: { BlockSize: 0 } }, /blocks of 0 bytes/],
  'blocks of 2 GiB': [{ fields: { BlockSize: 2 ** 31 } }, /blocks of 2147483648 bytes/],
  'a huge block in a range': [{ ranges: ['0', `2-${'9'.repeat(15)}`] }, /lies outside the image/],
  'an unknown checksum type': [
    { fields: { ChecksumType: 'crc32' } },
    /its checksum type "crc32" is not known/,
  ],
  'a checksum type named like a property': [{ fields: { ChecksumType: '__proto__' } }, /is not known/],
  'no checksum type': [{ fields: { ChecksumType: null } }, /does not state ChecksumType/],
  'no checksum of itself': [{ algorithm: null }, /does not state BmapFileChecksum/],
  'a checksum that is too short': [
    { ranges: ['<Range chksum="abcd"> 0 </Range>', '2'] },
    /"abcd" of the range 0 is no sha256 checksum/,
  ],
  'a checksum that is no hex': [
    { ranges: [`<Range chksum="${'x'.repeat(64)}"> 0 </Range>`] },
    /is no sha256/,
  ],
  'a version of the future': [{ version: '3.0' }, /version "3\.0" of the format is not known/],
  'a version that is none': [{ version: 'two' }, /version "two"/],
  'a document of another kind': [{ before: '<x>', after: '</x>' }, /its outermost element is "x"/],
  'two documents': [{ after: '<bmap version="2.0"/>' }, /not well-formed XML/],
  'text after the end': [{ after: 'more' }, /not well-formed XML/],
};

for (const [what, [parts, problem]] of Object.entries(wrong)) {
  test(`a map with ${what} is refused`, () => refused(mapText(parts), problem));
}

test('a map that states something twice is refused', () => {
  const twice = (text: string, element: string) =>
    text.replace(new RegExp(`( *<${element}[^]*</${element}>)`), '$1$1');
  refused(twice(mapText(), 'ImageSize'), /it states ImageSize twice/);
  refused(twice(mapText(), 'BlockMap'), /it states BlockMap twice/);
});

test('a map with a broken checksum of itself is refused', () => {
  const text = mapText();
  refused(
    text.replace('<BlockSize>', '<BlockSize> '),
    /changed or damaged: its own sha256 should be [0-9a-f]{64}/,
  );
  refused(text.replace(/[0-9a-f]{64}/, sha256), /its own sha256 should be abab/);
  refused(text.replace(/[0-9a-f]{63}(?=[0-9a-f])/, ''), /is no sha256 checksum/);
  const escaped = text.replace(/([0-9a-f])(?=[0-9a-f]{63} )/, (digit) => `&#${digit.charCodeAt(0)};`);
  refused(escaped, /its digits are written in an unusual way/);
});

test('no other file is taken for a block map', () => {
  refused('', /not well-formed XML|it is empty/);
  refused('<!DOCTYPE html><html><body>404</body></html>', /document type declaration/);
  refused('<html><body>404</body></html>', /its outermost element is "html"/);
  refused('{"bmap": 1}', /not well-formed XML/);
  refused(new Uint8Array(4096), /not well-formed XML/);
  refused(Buffer.from(mapText(), 'utf16le'), /not well-formed XML|not UTF-8/);
  refused(Buffer.from(mapText({ before: '<!-- \u00fc -->' }), 'latin1'), /it is not UTF-8 text/);
  refused(mapText().slice(0, -10), /not well-formed XML/);
  refused('<bmap version="2.0"/>', /it has no BlockMap/);
});

test('a document type, entities and their explosions are refused before they do anything', () => {
  const levels = Array.from(
    { length: 30 },
    (_, level) => `<!ENTITY l${level + 1} "${`&l${level};`.repeat(10)}">`,
  );
  const laughs = `<!DOCTYPE bmap [<!ENTITY l0 "ha">${levels.join('')}]>\n`;
  refused(mapText({ before: laughs, fields: { Note: '&l30;' } }), /document type declaration/);
  refused(mapText({ before: '<!DOCTYPE bmap SYSTEM "file:///etc/passwd">' }), /document type declaration/);
  refused(mapText({ fields: { Note: '&l30;' } }), /not well-formed XML/);
  refused(`<!DOCTYPE bmap [${'<!-- -->'.repeat(100_000)}`, /./);
});

test('deep nesting, many attributes, long texts and names are refused early', () => {
  refused(`<bmap version="2.0">${'<a>'.repeat(1_000_000)}`, /nested too deeply/);
  const attributes = Array.from({ length: 100_000 }, (_, at) => `a${at}="1"`).join(' ');
  refused(`<bmap version="2.0" ${attributes}>`, /too many attributes/);
  refused(mapText({ fields: { ImageSize: '1'.repeat(1 << 20) } }), /the text of ImageSize is too long/);
  refused(`<${'n'.repeat(1 << 20)}/>`, /outermost element is "n+\u2026"/);
  refused(`<bmap version="${'2'.repeat(1 << 20)}">`, /version "2+\u2026"/);
  refused(`&${'e'.repeat(1 << 20)};`, /not well-formed XML/);
});

test('a map of more than 64 MiB, or of more ranges than memory should hold, is refused', () => {
  refused(new Uint8Array(mostBmapBytes + 1), /it is larger than 64 MiB/);
  const many = '<Range>1</Range>'.repeat(mostRanges + 1);
  refused(`<bmap version="2.0"><BlockMap>${many}`, /more than 700000 ranges/);
});

test('whatever is done to a map, it is read as before or refused', () => {
  const text = mapText({ ranges: [`<Range chksum="${sha256}"> 0 </Range>`, '2'] });
  const whole = Buffer.from(text);
  const expected = parse(text);
  const edit = fc.record({
    at: fc.nat(whole.length),
    remove: fc.nat(40),
    insert: fc.oneof(
      fc.uint8Array({ maxLength: 8 }),
      fc
        .constantFrom('<', '>', '&', ']]>', '<![CDATA[', '<!--', '-->', '<?', '\u0000', '<Range>', '"', '-')
        .map((part) => Buffer.from(part)),
    ),
  });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.boolean(), (edits, seal) => {
      let bytes = whole;
      for (const { at, remove, insert } of edits) {
        bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
      }
      // Half of them state their own checksum rightly, so that what lies behind it is reached.
      const edited = bytes.toString('latin1').replace(/[0-9a-f]{64}(?= <\/Bmap)/, '0'.repeat(64));
      if (seal) bytes = Buffer.from(sealed(edited), 'latin1');
      try {
        const map = parseBmap(bytes, 'disk.bmap');
        if (!seal) assert.deepEqual(map, expected);
        else sound(map);
      } catch (error) {
        assert.ok(error instanceof Failure && error.code === 'BMAP_INVALID', String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test('random bytes and random documents are refused', () => {
  const piece = fc.constantFrom(
    '<bmap version="2.0">',
    '<BlockMap>',
    '</BlockMap>',
    '<Range>',
    '</Range>',
    '1-2',
    '<',
    '&',
    '"',
    ' ',
    '-----BEGIN PGP SIGNED MESSAGE-----',
    '\n\n',
    '</bmap>',
  );
  const document = fc.array(piece, { maxLength: 30 }).map((parts) => Buffer.from(parts.join('')));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), document), (bytes) => refused(bytes, /./)),
    { numRuns: 1000 },
  );
});

test('any sound map is read back as it was meant', () => {
  const layout = fc.record({
    blockSize: fc.constantFrom(1, 512, 1000, 4096, 65536),
    gaps: fc.array(fc.record({ gap: fc.nat(5), length: fc.integer({ min: 1, max: 1 << 20 }) }), {
      maxLength: 20,
    }),
    tail: fc.nat(3),
    cut: fc.nat(),
  });
  fc.assert(
    fc.property(layout, ({ blockSize, gaps, tail, cut }) => {
      let next = 0;
      const spans = gaps.map(({ gap, length }) => {
        const first = next + gap;
        next = first + length;
        return { first, last: next - 1 };
      });
      const blocks = Math.max(1, next + tail);
      const imageSize = blocks * blockSize - (cut % blockSize);
      const map = parse(
        mapText({
          ranges: spans.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)),
          fields: {
            ImageSize: imageSize,
            BlockSize: blockSize,
            BlocksCount: blocks,
            MappedBlocksCount: spans.reduce((sum, { first, last }) => sum + last - first + 1, 0),
          },
        }),
      );
      assert.deepEqual(
        map.ranges.map(({ offset }) => offset / blockSize),
        spans.map(({ first }) => first),
      );
      sound(map);
    }),
  );
});

function sound(map: ReturnType<typeof parseBmap>): void {
  let end = 0;
  let mapped = 0;
  for (const { offset, length, checksum } of map.ranges) {
    assert.ok(offset >= end && length > 0 && Number.isSafeInteger(offset + length));
    if (checksum) createHash(checksum.algorithm);
    end = offset + length;
    mapped += length;
  }
  assert.ok(end <= map.imageSize);
  assert.equal(mapped, map.mappedBytes);
}
