import { crc32, deflateSync } from 'node:zlib';

/** The icon of the app as a PNG of `size` by `size` pixels, drawn from the same shapes as the mark in the window. */
export function iconPng(size: number): Buffer {
  const rows = Buffer.alloc(size * (size * 4 + 1));
  const fine = 4;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      let ground = 0;
      let bolt = 0;
      for (let step = 0; step < fine * fine; step++) {
        const px = ((x + ((step % fine) + 0.5) / fine) * 32) / size;
        const py = ((y + (Math.floor(step / fine) + 0.5) / fine) * 32) / size;
        if (inBolt(px, py)) bolt++;
        else if (inGround(px, py)) ground++;
      }
      const alpha = (ground + bolt) / (fine * fine);
      const share = ground + bolt === 0 ? 0 : bolt / (ground + bolt);
      const offset = y * (size * 4 + 1) + 1 + x * 4;
      for (const [index, value] of [0x0b, 0x6b, 0x63].entries()) {
        rows[offset + index] = Math.round(value + (255 - value) * share);
      }
      rows[offset + 3] = Math.round(alpha * 255);
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  // 8 bits a channel, red green blue alpha.
  head.set([8, 6, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** A part of a PNG: its length, kind, bytes and checksum (PNG specification, section 5). */
function chunk(kind: string, bytes: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(kind, 'latin1'), bytes]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(bytes.length, 0);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc32(body), body.length + 4);
  return whole;
}

/** A square with round corners, on a board of 32 by 32. */
function inGround(x: number, y: number): boolean {
  const radius = 9;
  const dx = Math.max(radius - x, x - (32 - radius), 0);
  const dy = Math.max(radius - y, y - (32 - radius), 0);
  return Math.hypot(dx, dy) <= radius;
}

const corners = [
  [17.8, 5.5],
  [9, 18],
  [15, 18],
  [13.7, 26.5],
  [22.8, 14],
  [16.8, 14],
] as const;

/** Whether a line from the point to the right meets the edges an odd number of times. */
function inBolt(x: number, y: number): boolean {
  let inside = false;
  for (const [index, [x1, y1]] of corners.entries()) {
    const [x2, y2] = corners[(index + 1) % corners.length] ?? [x1, y1];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
  }
  return inside;
}
