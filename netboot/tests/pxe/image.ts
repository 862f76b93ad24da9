/** A tiny disk image that boots by BIOS and by UEFI and says a marker on the first serial port. */
import { execFile } from 'node:child_process';
import { open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { efiProgram } from './efi.ts';

const execute = promisify(execFile);
const MiB = 1 << 20;
const espBytes = 8 * MiB;

export interface DiskImage {
  readonly path: string;
  readonly bytes: number;
  readonly marker: string;
}

/** Makes a GPT image of `mebibytes` at `path`: boot code, a system partition, a partition of noise. */
export async function makeImage(path: string, marker: string, mebibytes = 48): Promise<DiskImage> {
  const bytes = mebibytes * MiB;
  await rm(path, { force: true });
  await writeFile(path, '');
  await truncate(path, bytes);
  await execute('sgdisk', [
    ...['--new=1:2048:+8M', '--typecode=1:ef00', '--new=2:0:0', '--typecode=2:8300'],
    ...['--disk-guid=b7e0b7e0-0000-4000-8000-000000000001', path],
  ]);
  const esp = `${path}.esp`;
  await writeFile(esp, '');
  await truncate(esp, espBytes);
  await execute('mkfs.vfat', ['-i', '42545931', '-n', 'BTYTEST', esp]);
  const program = `${path}.efi`;
  await writeFile(program, efiProgram(marker));
  await execute('mmd', ['-i', esp, '::/EFI', '::/EFI/BOOT']);
  await execute('mcopy', ['-i', esp, program, '::/EFI/BOOT/BOOTX64.EFI']);
  const file = await open(path, 'r+');
  try {
    const code = bootCode(marker);
    if (code.length > 440) throw new Error('the boot code leaves no room for the partition table');
    await file.write(code, 0, code.length, 0);
    const partition = await readFile(esp);
    await file.write(partition, 0, partition.length, MiB);
    const noise = noiseOf(marker, (mebibytes < 128 ? 12 : 96) * MiB);
    await file.write(noise, 0, noise.length, 12 * MiB);
  } finally {
    await file.close();
  }
  await Promise.all([rm(esp), rm(program)]);
  return { path, bytes, marker };
}

/** Bytes that do not pack, always the same for one seed (xorshift32). */
function noiseOf(seed: string, bytes: number): Buffer {
  let state = [...seed].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) | 0, 0x2545f491) || 1;
  const noise = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    noise.writeInt32LE(state | 0, at);
  }
  return noise;
}

/** 16-bit code that prints on COM1 by INT 14h, then waits. (SeaBIOS sends what goes to the screen there, too.) */
function bootCode(marker: string): Buffer {
  const start = [
    0xfa, // cli
    ...[0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0], // ds, es and ss become 0
    ...[0xbc, 0x00, 0x7c], // mov sp, 7c00h
    ...[0xfb, 0xfc], // sti, cld
    // int 15h function 86h: a second, in which SeaBIOS says the rest of its own last line
    ...[0xb9, 0x0f, 0x00, 0xba, 0x40, 0x42, 0xb4, 0x86, 0xcd, 0x15],
    ...[0xb8, 0xe3, 0x00, 0x31, 0xd2, 0xcd, 0x14], // int 14h function 0: COM1 with 9600 baud, 8 bits
  ];
  const print = [
    0xac, // next: lodsb
    ...[0x08, 0xc0, 0x74, 0x08], // or al, al; jz wait
    ...[0xb4, 0x01, 0x31, 0xd2, 0xcd, 0x14], // int 14h function 1
    ...[0xeb, 0xf3], // jmp next
    ...[0xf4, 0xeb, 0xfd], // wait: hlt; jmp wait
  ];
  const text = 0x7c00 + start.length + 3 + print.length;
  const pointer = [0xbe, text & 0xff, text >> 8]; // mov si, text
  return Buffer.concat([Buffer.from([...start, ...pointer, ...print]), Buffer.from(`\r\n${marker}\r\n\0`)]);
}
