/** What the demo disk says when it boots. */
export const marker = 'BTY DEMO: this disk boots what bty wrote.';

const sector = 512;
const loadAddress = 0x7c00;
const firstPartition = 2048;

/**
 * A small disk image that boots on a PC with BIOS: a master boot record whose code, our own, prints `marker` on
 * the screen and on the first serial port, and one partition with data that neither packs to nothing nor not at
 * all. `bytes` is a multiple of 512.
 */
export function sampleImage(bytes: number): Buffer {
  const image = Buffer.alloc(bytes);
  bootSector(bytes / sector).copy(image);
  fillPartition(image.subarray(firstPartition * sector));
  return image;
}

function bootSector(sectors: number): Buffer {
  const block = Buffer.alloc(sector);
  const code = bootCode();
  code.copy(block);
  // One active partition of type 0x83 from sector 2048 to the end (partition table entry 1, at 446).
  block.writeUInt32LE(0x42545931, 440); // disk signature
  block.set([0x80, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff], 446);
  block.writeUInt32LE(firstPartition, 454);
  block.writeUInt32LE(sectors - firstPartition, 458);
  block.writeUInt16LE(0xaa55, 510);
  return block;
}

/** 16-bit x86 code; INT 10h function 0Eh prints on the screen, INT 14h functions 00h and 01h on COM1. */
function bootCode(): Buffer {
  const before = [
    0xfa, // cli
    0x31,
    0xc0, // xor ax, ax
    0x8e,
    0xd8, // mov ds, ax
    0x8e,
    0xc0, // mov es, ax
    0x8e,
    0xd0, // mov ss, ax
    0xbc,
    0x00,
    0x7c, // mov sp, 7c00h
    0xfb, // sti
    0xfc, // cld
    0xb8,
    0xe3,
    0x00, // mov ax, 00e3h: set COM1 to 9600 baud, 8 data bits, no parity, 1 stop bit
    0x31,
    0xd2, // xor dx, dx
    0xcd,
    0x14, // int 14h
  ];
  const loop = [
    0xac, // next: lodsb
    0x08,
    0xc0, // or al, al
    0x74,
    0x11, // jz halt
    0x50, // push ax
    0xb4,
    0x0e, // mov ah, 0eh
    0xbb,
    0x07,
    0x00, // mov bx, 7
    0xcd,
    0x10, // int 10h
    0x58, // pop ax
    0xb4,
    0x01, // mov ah, 1
    0x31,
    0xd2, // xor dx, dx
    0xcd,
    0x14, // int 14h
    0xeb,
    0xea, // jmp next
    0xf4, // halt: hlt
    0xeb,
    0xfd, // jmp halt
  ];
  const text = loadAddress + before.length + 3 + loop.length;
  const pointer = [0xbe, text & 0xff, text >> 8]; // mov si, text
  return Buffer.concat([Buffer.from([...before, ...pointer, ...loop]), Buffer.from(`\r\n${marker}\r\n\0`)]);
}

/** Text and noise in turn, from a fixed seed (xorshift32). */
function fillPartition(area: Buffer): void {
  let state = 0x2545f491;
  for (let at = 0; at + 4096 <= area.length; at += 4096) {
    const block = area.subarray(at, at + 4096);
    if ((at / 4096) % 3 === 0) continue;
    if ((at / 4096) % 3 === 1) block.fill(`block ${at / 4096} of the demo image\n`);
    else {
      for (let word = 0; word < 4096; word += 4) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        block.writeInt32LE(state | 0, word);
      }
    }
  }
}
