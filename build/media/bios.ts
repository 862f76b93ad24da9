/** Code that BIOS starts from a disk: GRUB's first sector in the master boot record, its core in a partition. */

const sector = 512;

/** The first sector's 440 bytes, told where the core begins (GRUB's boot.S: where its fields are). */
export function bootSector(bootImage: Uint8Array, coreSector: number): Uint8Array {
  const code = Buffer.from(bootImage.subarray(0, 440));
  code.writeBigUInt64LE(BigInt(coreSector), 0x5c);
  // The jump that is taken for floppy disks: a firmware that tells a wrong drive number must not take it.
  code.set([0x90, 0x90], 0x66);
  return code;
}

/** The core for its place: the last twelve bytes of its first sector name the sectors after it. */
export function placedCore(core: Uint8Array, coreSector: number, room: number): Uint8Array {
  if (core.length > room) throw new Error(`GRUB's core has ${core.length} bytes, its partition ${room}`);
  const placed = Buffer.alloc(Math.ceil(core.length / sector) * sector);
  placed.set(core);
  placed.writeBigUInt64LE(BigInt(coreSector + 1), sector - 12);
  placed.writeUInt16LE(placed.length / sector - 1, sector - 4);
  return placed;
}
