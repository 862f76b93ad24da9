/** Processor architecture types of option 93 (RFC 4578 and IANA's registry), and what each is given. */

/** What makes the firmware differ for a server. */
export type Firmware = 'bios' | 'uefi' | 'http' | 'other';

/** Processor of a boot file. `x86` is the 32-bit one. */
export type Platform = 'bios' | 'x86' | 'x86_64' | 'arm32' | 'arm64' | 'riscv64' | 'loong64';

export interface Architecture {
  readonly code: number;
  readonly name: string;
  readonly firmware: Firmware;
  /** Null where nothing of ours runs. */
  readonly platform: Platform | null;
}

/** Which build of iPXE: by the firmware's network driver, by iPXE's own drivers, or a loader without iPXE. */
export type Flavor = 'snponly' | 'ipxe' | 'native';
export const flavors = ['snponly', 'ipxe', 'native'] as const satisfies readonly Flavor[];

const row = (code: number, name: string, firmware: Firmware, platform: Platform | null): Architecture => ({
  code,
  name,
  firmware,
  platform,
});

const table: readonly Architecture[] = [
  row(0x00, 'x86 BIOS', 'bios', 'bios'),
  row(0x01, 'NEC PC98', 'other', null),
  row(0x02, 'Itanium', 'other', null),
  row(0x03, 'DEC Alpha', 'other', null),
  row(0x04, 'Arc x86', 'other', null),
  row(0x05, 'Intel Lean Client', 'other', null),
  row(0x06, 'x86 UEFI', 'uefi', 'x86'),
  row(0x07, 'x64 UEFI', 'uefi', 'x86_64'),
  row(0x08, 'Xscale UEFI', 'other', null),
  // RFC 4578 as first printed had 7 and 9 swapped, and some x64 firmware still sends 9 (erratum 4624).
  row(0x09, 'EBC (x64 UEFI in practice)', 'uefi', 'x86_64'),
  row(0x0a, '32-bit ARM UEFI', 'uefi', 'arm32'),
  row(0x0b, '64-bit ARM UEFI', 'uefi', 'arm64'),
  row(0x0c, 'PowerPC Open Firmware', 'other', null),
  row(0x0d, 'PowerPC ePAPR', 'other', null),
  row(0x0e, 'POWER OPAL', 'other', null),
  row(0x0f, 'x86 UEFI over HTTP', 'http', 'x86'),
  row(0x10, 'x64 UEFI over HTTP', 'http', 'x86_64'),
  row(0x11, 'EBC over HTTP', 'http', 'x86_64'),
  row(0x12, '32-bit ARM UEFI over HTTP', 'http', 'arm32'),
  row(0x13, '64-bit ARM UEFI over HTTP', 'http', 'arm64'),
  row(0x14, 'x86 BIOS over HTTP', 'http', 'bios'),
  row(0x15, '32-bit ARM U-Boot', 'other', null),
  row(0x16, '64-bit ARM U-Boot', 'other', null),
  row(0x17, '32-bit ARM U-Boot over HTTP', 'other', null),
  row(0x18, '64-bit ARM U-Boot over HTTP', 'other', null),
  row(0x19, 'RISC-V 32-bit UEFI', 'other', null),
  row(0x1a, 'RISC-V 32-bit UEFI over HTTP', 'other', null),
  row(0x1b, 'RISC-V 64-bit UEFI', 'uefi', 'riscv64'),
  row(0x1c, 'RISC-V 64-bit UEFI over HTTP', 'http', 'riscv64'),
  row(0x1d, 'RISC-V 128-bit UEFI', 'other', null),
  row(0x1e, 'RISC-V 128-bit UEFI over HTTP', 'other', null),
  row(0x1f, 's390 basic', 'other', null),
  row(0x20, 's390 extended', 'other', null),
  row(0x21, 'MIPS 32-bit UEFI', 'other', null),
  row(0x22, 'MIPS 64-bit UEFI', 'other', null),
  row(0x23, 'Sunway 32-bit UEFI', 'other', null),
  row(0x24, 'Sunway 64-bit UEFI', 'other', null),
  row(0x25, 'LoongArch 32-bit UEFI', 'other', null),
  row(0x26, 'LoongArch 32-bit UEFI over HTTP', 'other', null),
  row(0x27, 'LoongArch 64-bit UEFI', 'uefi', 'loong64'),
  row(0x28, 'LoongArch 64-bit UEFI over HTTP', 'http', 'loong64'),
  row(0x29, 'Raspberry Pi boot ROM', 'other', null),
];
const byCode = new Map(table.map((entry) => [entry.code, entry]));

export const architectures: readonly Architecture[] = table;

export function architectureOf(code: number): Architecture {
  return byCode.get(code) ?? row(code, `unknown architecture ${code}`, 'other', null);
}

/** The first of `codes` that something of ours runs on, else the first, else null. */
export function bestArchitecture(codes: readonly number[]): Architecture | null {
  const known = codes.map(architectureOf);
  return known.find(({ platform }) => platform !== null) ?? known[0] ?? null;
}

/**
 * Name of the boot file under which TFTP and HTTP serve it. BIOS has no SNP: there `undionly.kpxe` drives the card
 * through the ROM, as `snponly.efi` does on UEFI.
 */
const files: Readonly<Record<Platform, Readonly<Record<Flavor, string>>>> = {
  bios: { snponly: 'undionly.kpxe', ipxe: 'ipxe.pxe', native: 'lpxelinux.0' },
  x86: { snponly: 'i386/snponly.efi', ipxe: 'i386/ipxe.efi', native: 'i386/shimia32.efi' },
  x86_64: { snponly: 'snponly.efi', ipxe: 'ipxe.efi', native: 'shimx64.efi' },
  arm32: { snponly: 'arm32/snponly.efi', ipxe: 'arm32/ipxe.efi', native: 'arm32/grubarm.efi' },
  arm64: { snponly: 'arm64/snponly.efi', ipxe: 'arm64/ipxe.efi', native: 'arm64/shimaa64.efi' },
  riscv64: { snponly: 'riscv64/snponly.efi', ipxe: 'riscv64/ipxe.efi', native: 'riscv64/grubriscv64.efi' },
  loong64: { snponly: 'loong64/snponly.efi', ipxe: 'loong64/ipxe.efi', native: 'loong64/grubloong64.efi' },
};

export function bootFileOf(platform: Platform, flavor: Flavor): string {
  return files[platform][flavor];
}
