/** A program for UEFI firmware that prints one line and then waits: our own PE32+ file (PE/COFF specification). */

const page = 0x1000;
const fileAlignment = 0x200;
const headers = 0x200;

/** The bytes of \EFI\BOOT\BOOTX64.EFI that says `text` (ASCII). */
export function efiProgram(text: string): Buffer {
  const code = Buffer.concat([machineCode(), Buffer.from(`\r\n${text}\r\n\0`, 'utf16le')]);
  const size = align(code.length, fileAlignment);
  const file = Buffer.alloc(headers + size);
  file.write('MZ', 0, 'latin1');
  file.writeUInt32LE(0x40, 0x3c); // where the PE header is
  file.write('PE\0\0', 0x40, 'latin1');
  coffHeader(file.subarray(0x44));
  optionalHeader(file.subarray(0x58), code.length, size);
  sectionHeader(file.subarray(0x58 + 0xf0), code.length, size);
  code.copy(file, headers);
  return file;
}

/** UEFI calls it with the image's handle in RCX and the system table in RDX (UEFI specification 2.10, 2.3.4). */
function machineCode(): Buffer {
  const before = [
    ...[0x48, 0x83, 0xec, 0x28], // sub rsp, 28h: room for the callee, and alignment
    ...[0x48, 0x8b, 0x4a, 0x40], // mov rcx, [rdx+40h]: ConOut of the system table
  ];
  const after = [
    ...[0xff, 0x51, 0x08], // call [rcx+8]: OutputString
    0xf4, // wait: hlt
    ...[0xeb, 0xfd], // jmp wait
  ];
  // lea rdx, [rip+distance]: the text begins behind the last instruction.
  const load = [0x48, 0x8d, 0x15, after.length, 0, 0, 0];
  return Buffer.from([...before, ...load, ...after]);
}

function coffHeader(at: Buffer): void {
  at.writeUInt16LE(0x8664, 0); // x86-64
  at.writeUInt16LE(1, 2); // one section
  at.writeUInt16LE(0xf0, 16); // bytes of the optional header
  at.writeUInt16LE(0x0022, 18); // executable, large addresses
}

function optionalHeader(at: Buffer, codeBytes: number, size: number): void {
  at.writeUInt16LE(0x20b, 0); // PE32+
  at.writeUInt32LE(size, 4); // code
  at.writeUInt32LE(page, 16); // entry point
  at.writeUInt32LE(page, 20); // base of code
  at.writeBigUInt64LE(0x40_0000n, 24); // preferred address; the code runs at any
  at.writeUInt32LE(page, 32); // section alignment
  at.writeUInt32LE(fileAlignment, 36);
  at.writeUInt32LE(page + align(codeBytes, page), 56); // size in memory
  at.writeUInt32LE(headers, 60);
  at.writeUInt16LE(10, 68); // EFI application
  at.writeUInt32LE(16, 108); // data directories, all empty
}

function sectionHeader(at: Buffer, codeBytes: number, size: number): void {
  at.write('.text', 0, 'latin1');
  at.writeUInt32LE(codeBytes, 8);
  at.writeUInt32LE(page, 12);
  at.writeUInt32LE(size, 16);
  at.writeUInt32LE(headers, 20);
  at.writeUInt32LE(0x6000_0020, 36); // code, executable, readable
}

const align = (value: number, to: number): number => Math.ceil(value / to) * to;
