/** Firmware that is pretended: what each model says of itself, and how it behaves. */

export interface Model {
  readonly name: string;
  readonly architecture: number;
  readonly vendorClass: string;
  /** iPXE from the start: no boot file is loaded. */
  readonly ipxe?: true;
  /** Asks for the size first and breaks off. */
  readonly probes?: true;
  /** Takes only an offer that holds both an address and a boot file, as some laptops do. */
  readonly mergesNot?: true;
  /** Drops offers of a proxy that hold option 43 (edk2 issue 6944). */
  readonly drops43?: true;
  /** DISCOVERs before it gives up; the default is 4. */
  readonly tries?: number;
  /** Options of its TFTP requests. */
  readonly options: readonly (readonly [string, string])[];
  /** Share from 0 to 1 of the datagrams to it that is lost. */
  readonly loss?: number;
}

const uefi = 'PXEClient:Arch:00007:UNDI:003000';
const bios = 'PXEClient:Arch:00000:UNDI:002001';
const usual = [
  ['tsize', '0'],
  ['blksize', '1468'],
] as const;
const small = [
  ['tsize', '0'],
  ['blksize', '1456'],
] as const;

export const models: readonly Model[] = [
  { name: 'BIOS ROM', architecture: 0, vendorClass: bios, probes: true, options: small },
  {
    name: 'EDK2',
    architecture: 7,
    vendorClass: uefi,
    probes: true,
    options: [...usual, ['windowsize', '4']],
  },
  { name: 'EDK2 old', architecture: 7, vendorClass: uefi, probes: true, drops43: true, options: usual },
  {
    name: 'no-merge HP',
    architecture: 7,
    vendorClass: 'PXEClient:Arch:00007:UNDI:003016',
    mergesNot: true,
    tries: 2,
    options: usual,
  },
  { name: 'iPXE', architecture: 0, vendorClass: bios, ipxe: true, options: [] },
  { name: 'HTTP boot', architecture: 16, vendorClass: 'HTTPClient:Arch:00016:UNDI:003000', options: [] },
  { name: 'UDP-lossy', architecture: 7, vendorClass: uefi, options: usual, loss: 0.05 },
];
