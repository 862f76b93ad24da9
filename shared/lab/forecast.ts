/** What a machine does at its next network boot, from what is decided about it: for one sentence in a form. Pure. */
import type { DiskRule } from '../contract/agent.ts';
import type { BootPolicy } from '../contract/machine.ts';

export interface Intent {
  readonly policy: BootPolicy;
  /** Name of the image, null for none. */
  readonly image: string | null;
  readonly disk: DiskRule | null;
  /** What the appliance says of the machine as it is saved now (`state.next`); null for what is being edited. */
  readonly next: string | null;
}

/** A key of the words (`lab.forecast`) and what stands in its gaps. `danger`: a disk is overwritten. */
export interface Forecast {
  readonly key:
    | 'nothing'
    | 'disk'
    | 'diskOnce'
    | 'interactive'
    | 'inventory'
    | 'stopped'
    | 'flashAny'
    | 'flashSerial'
    | 'flashMatch'
    | 'onceAny'
    | 'onceSerial'
    | 'onceMatch'
    | 'noImage';
  readonly values: { readonly image: string; readonly serial: string };
  readonly danger: boolean;
}

const harmless = (key: Forecast['key']): Forecast => ({
  key,
  values: { image: '', serial: '' },
  danger: false,
});

/** As `actionOf` of the machine's life decides it (`shared/machine/life.ts`). */
export function forecastOf({ policy, image, disk, next }: Intent): Forecast {
  if (next === 'stopped') return harmless('stopped');
  if (next === 'disk' && policy !== 'local') return harmless('diskOnce');
  switch (policy) {
    case 'tui':
      return harmless('interactive');
    case 'inventory':
      return harmless('inventory');
    case 'local':
      return harmless(image === null ? 'nothing' : 'disk');
    case 'flash':
    case 'flash-once':
      return image === null
        ? harmless('noImage')
        : flashing(policy === 'flash' ? 'flash' : 'once', image, disk);
  }
}

function flashing(how: 'flash' | 'once', image: string, disk: DiskRule | null): Forecast {
  if (disk?.kind === 'serial')
    return { key: `${how}Serial`, values: { image, serial: disk.serial }, danger: true };
  const kind = disk?.kind === 'match' ? 'Match' : 'Any';
  return { key: `${how}${kind}`, values: { image, serial: '' }, danger: true };
}
