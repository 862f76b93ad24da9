import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mappedRanges } from './ranges.ts';

test('ranges of a block map become ranges of bytes, the last one cut at the end of the image', () => {
  const bmap = `<bmap version="2.0"><ImageSize> 20000 </ImageSize><BlockSize> 4096 </BlockSize>
    <BlockMap>
      <Range chksum="00ff"> 0-1 </Range>
      <Range chksum="00ff"> 3 </Range>
      <Range>4</Range>
    </BlockMap></bmap>`;
  assert.deepEqual(mappedRanges(bmap, 20000), [
    { start: 0, end: 8192 },
    { start: 12288, end: 16384 },
    { start: 16384, end: 20000 },
  ]);
});

test('a file that is no block map is refused', () => {
  assert.throws(() => mappedRanges('<html></html>', 1), /no size of a block/);
});
