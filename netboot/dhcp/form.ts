/** The shapes a reply can have, and in which order each kind of firmware is tried with them. Data, not decisions. */
import type { ReplyForm } from '../story/step.ts';
import type { Firmware } from './architecture.ts';

export interface Shape {
  /** Option 43 with PXE discovery control 8: fetch the file at once, no menu, no boot server discovery. */
  readonly control: boolean;
  /** The `file` field of the header. */
  readonly header: boolean;
  /** Options 66 and 67. */
  readonly options: 'always' | 'asked';
}

export const shapes: Readonly<Record<ReplyForm, Shape>> = {
  'full-43': { control: true, header: true, options: 'asked' },
  'full-plain': { control: false, header: true, options: 'asked' },
  'proxy-43': { control: true, header: true, options: 'asked' },
  'proxy-4011': { control: false, header: true, options: 'asked' },
  'proxy-67': { control: false, header: false, options: 'always' },
  http: { control: false, header: true, options: 'always' },
  'address-only': { control: false, header: false, options: 'asked' },
};

/**
 * BIOS waits for a menu key without option 43. Some EDK2 before 2021 drops a proxy's offer that has it (edk2 issue
 * 6944), so UEFI is first answered without and fetches the rest from port 4011. A full server's offer with it ranks
 * highest in EDK2 and needs no port 4011.
 */
const ladders: Readonly<Record<'proxy' | 'full', Readonly<Record<Firmware, readonly ReplyForm[]>>>> = {
  proxy: {
    bios: ['proxy-43', 'proxy-4011', 'proxy-67'],
    uefi: ['proxy-4011', 'proxy-43', 'proxy-67'],
    http: ['http'],
    other: ['proxy-4011'],
  },
  full: {
    bios: ['full-43', 'full-plain'],
    uefi: ['full-43', 'full-plain'],
    http: ['http'],
    other: ['full-43'],
  },
};

export function ladderOf(mode: 'proxy' | 'full', firmware: Firmware): readonly ReplyForm[] {
  return ladders[mode][firmware];
}

/** Offers of one form that may stay without a sign of life before the next form is tried. */
export const offersPerForm = 2;
