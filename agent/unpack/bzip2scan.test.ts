import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Mark, magicAt, scan } from './bzip2scan.ts';

const magics = { block: 0x314159265359n, end: 0x177245385090n } as const;

/** Puts `magic` at `bit` of `bytes`. */
function place(bytes: Uint8Array, bit: number, magic: bigint): void {
  for (let index = 0; index < 48; index++) {
    const at = bit + index;
    const one = (magic >> BigInt(47 - index)) & 1n;
    const mask = 0x80 >>> (at & 7);
    bytes[at >>> 3] = ((bytes[at >>> 3] ?? 0) & ~mask) | (one === 1n ? mask : 0);
  }
}

function scanAll(bytes: Uint8Array, end: number): Mark[] {
  const view = new DataView(bytes.buffer);
  const found: Mark[] = [];
  let at = 0;
  for (;;) {
    const before = found.length;
    at = scan(view, at, end, found);
    if (found.length === before) return found;
  }
}

test('a magic is found wherever it starts, whatever surrounds it', () => {
  for (const fill of [0, 0xff, 0x31]) {
    for (const kind of ['block', 'end'] as const) {
      for (let bit = 0; bit < 200; bit++) {
        const bytes = new Uint8Array(60).fill(fill);
        place(bytes, bit, magics[kind]);
        assert.deepEqual(scanAll(bytes, 40), [{ kind, bit }]);
      }
    }
  }
});

test('magics in the data are found in order, once each, however near they are', () => {
  const gaps = fc.array(fc.tuple(fc.nat(90), fc.boolean()), { maxLength: 12 });
  fc.assert(
    fc.property(gaps, (places) => {
      const bytes = new Uint8Array(300);
      const expected: Mark[] = [];
      let bit = 0;
      for (const [gap, end] of places) {
        const kind = end ? 'end' : 'block';
        place(bytes, bit + gap, magics[kind]);
        expected.push({ kind, bit: bit + gap });
        bit += gap + 48;
      }
      assert.deepEqual(scanAll(bytes, 280), expected);
    }),
  );
});

test('a bit that differs makes it no magic', () => {
  for (let wrong = 0; wrong < 48; wrong++) {
    const bytes = new Uint8Array(20);
    place(bytes, 13, magics.block ^ (1n << BigInt(wrong)));
    assert.equal(magicAt(new DataView(bytes.buffer), 13), null);
  }
});
