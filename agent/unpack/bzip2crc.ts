/** The checksum of bzip2: the CRC-32 polynomial of IEEE 802.3, most significant bit first. */

/** Table n, of 256 entries at 256n, advances a byte that n more bytes follow; the first alone takes one byte. */
export const crcTables = makeTables();

/** Advances `crc` over `length` times the same byte. */
export function crcOfRun(crc: number, byte: number, length: number): number {
  const word = Math.imul(byte, 0x01010101);
  let value = crc;
  let left = length;
  for (; left >= 8; left -= 8) value = eightBytes(value, word, word);
  for (; left > 0; left--) value = (value << 8) ^ (crcTables[((value >>> 24) ^ byte) & 255] as number);
  return value;
}

function eightBytes(crc: number, high: number, low: number): number {
  const word = crc ^ high;
  return (
    (crcTables[1792 + (word >>> 24)] as number) ^
    (crcTables[1536 + ((word >>> 16) & 255)] as number) ^
    (crcTables[1280 + ((word >>> 8) & 255)] as number) ^
    (crcTables[1024 + (word & 255)] as number) ^
    (crcTables[768 + (low >>> 24)] as number) ^
    (crcTables[512 + ((low >>> 16) & 255)] as number) ^
    (crcTables[256 + ((low >>> 8) & 255)] as number) ^
    (crcTables[low & 255] as number)
  );
}

function makeTables(): Int32Array {
  const made = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte << 24;
    for (let bit = 0; bit < 8; bit++) value = (value << 1) ^ (value < 0 ? 0x04c11db7 : 0);
    made[byte] = value;
  }
  for (let at = 256; at < made.length; at++) {
    const before = made[at - 256] as number;
    made[at] = (before << 8) ^ (made[before >>> 24] as number);
  }
  return made;
}
