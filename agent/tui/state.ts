/** What the terminal program knows and shows at one moment, and what can happen to it. No I/O, no clock. */
import type { FailureReport } from '../../shared/failure.ts';
import { type FlashState, idle } from '../../shared/flash/advance.ts';
import type { FlashEvent } from '../../shared/flash/event.ts';
import type { Key } from './keys.ts';

/** Where images come from. */
export type Source =
  | { readonly kind: 'folder'; readonly path: string }
  /** `address` as it was given, `shown` without credentials. */
  | { readonly kind: 'server'; readonly address: string; readonly shown: string };

export interface ImageRow {
  readonly name: string;
  /** Wire name of the format, null when unknown. */
  readonly format: string | null;
  /** Stored bytes, null when unknown. */
  readonly storedBytes: number | null;
  /** Bytes that the disk must hold, null when unknown. */
  readonly imageBytes: number | null;
  /** Path or address. */
  readonly location: string;
  /** SHA-256 that the stored bytes must have. */
  readonly sha256: string | null;
}

export interface DiskRow {
  readonly path: string;
  readonly size: number;
  readonly name: string;
  readonly bus: string;
  readonly serial: string | null;
  readonly diskseq: number | null;
  /** Why it cannot be written whatever the image is, the gravest reason first. */
  readonly refusals: readonly FailureReport[];
}

export interface Listing<Row> {
  readonly kind: 'waiting' | 'there' | 'failed';
  readonly rows: readonly Row[];
  /** Sentences: why it failed, or what was left out. */
  readonly notes: readonly string[];
}

export const nothingYet: Listing<never> = { kind: 'waiting', rows: [], notes: [] };

/** What the look at image and disk came to, before anything is written. */
export interface Review {
  readonly image: string;
  readonly format: string;
  readonly storedBytes: number | null;
  readonly imageBytes: number | null;
  readonly sha256: string | null;
  readonly notes: readonly string[];
  /** Why it cannot be written. */
  readonly refusals: readonly FailureReport[];
}

export type Pane = 'images' | 'disks' | 'write';

export type Mode =
  | { readonly kind: 'pick' }
  | { readonly kind: 'filter' }
  /** A server's address, or a folder, is being typed. */
  | { readonly kind: 'source'; readonly text: string }
  | { readonly kind: 'help' }
  | { readonly kind: 'probing' }
  /** `armed` a moment after it was drawn, so that a key typed ahead does not begin to write. */
  | { readonly kind: 'review'; readonly review: Review; readonly armed: boolean }
  | {
      readonly kind: 'writing';
      readonly flash: FlashState;
      /** Milliseconds, on the clock of the events. */
      readonly began: number | null;
      readonly now: number | null;
      readonly asking: boolean;
      readonly cancelling: boolean;
      readonly skipping: boolean;
      /** What follows the writing of the disk: its table is fitted, the appliance is told. */
      readonly finishing: string | null;
    }
  | { readonly kind: 'result'; readonly flash: FlashState; readonly notes: readonly string[] }
  | { readonly kind: 'rebooting' };

/** What stays the same while the program runs. */
export interface Setting {
  readonly version: string;
  /** Why nothing can be written, null when it can. */
  readonly readOnly: string | null;
  /** In the live system of a machine that booted from the network: nothing to quit to. */
  readonly live: boolean;
  /** The folder of images where no other is given. */
  readonly folder: string;
  /** The machine, as the operator calls it. */
  readonly title: string | null;
}

export interface Message {
  readonly text: string;
  readonly tone: 'plain' | 'bad' | 'good';
  /** Stays until another one comes or a key is pressed. */
  readonly sticky: boolean;
}

export interface State {
  readonly setting: Setting;
  readonly source: Source;
  readonly images: Listing<ImageRow>;
  readonly disks: Listing<DiskRow>;
  readonly filter: string;
  readonly focus: Pane;
  /** Index among the filtered images, and among the disks. */
  readonly imageAt: number;
  readonly diskAt: number;
  readonly image: ImageRow | null;
  readonly disk: DiskRow | null;
  /** Whether everything is read back. */
  readonly verify: boolean;
  readonly mode: Mode;
  /** A yes or no in front of everything else. */
  readonly asks: 'reboot' | 'power-off' | null;
  readonly message: Message | null;
  /** Counts messages, so that the end of an older one does not take a newer one away. */
  readonly messages: number;
}

export type Event =
  | { readonly kind: 'key'; readonly key: Key }
  | { readonly kind: 'images'; readonly source: Source; readonly listing: Listing<ImageRow> }
  | { readonly kind: 'disks'; readonly listing: Listing<DiskRow> }
  | { readonly kind: 'probed'; readonly review: Review }
  | { readonly kind: 'not-probed'; readonly failure: FailureReport }
  | { readonly kind: 'armed' }
  | { readonly kind: 'flash'; readonly event: FlashEvent }
  | { readonly kind: 'clock'; readonly now: number }
  | { readonly kind: 'finishing'; readonly text: string }
  /** The flash and what follows it are over. `failure` when the engine ended without a result. */
  | { readonly kind: 'ended'; readonly notes: readonly string[]; readonly failure: FailureReport | null }
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'message-over'; readonly count: number }
  | { readonly kind: 'not-rebooted'; readonly problem: string };

/** What the state wants done; the loop does it and answers by events. */
export type Effect =
  | { readonly kind: 'list-images'; readonly source: Source }
  | { readonly kind: 'list-disks' }
  | { readonly kind: 'probe'; readonly image: ImageRow; readonly disk: DiskRow }
  /** What was probed is not wanted any more. */
  | { readonly kind: 'drop' }
  | { readonly kind: 'arm' }
  | { readonly kind: 'write'; readonly verify: boolean }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'skip-verification' }
  | { readonly kind: 'expire'; readonly count: number }
  | { readonly kind: 'repaint' }
  | { readonly kind: 'reboot' }
  | { readonly kind: 'power-off' }
  | { readonly kind: 'quit' };

export interface Next {
  readonly state: State;
  readonly effects: readonly Effect[];
}

export function firstState(setting: Setting, source: Source): State {
  return {
    setting,
    source,
    images: nothingYet,
    disks: nothingYet,
    filter: '',
    focus: 'images',
    imageAt: 0,
    diskAt: 0,
    image: null,
    disk: null,
    verify: true,
    mode: { kind: 'pick' },
    asks: null,
    message: null,
    messages: 0,
  };
}

/** The state while a flash begins. */
export function writingMode(): Extract<Mode, { readonly kind: 'writing' }> {
  return {
    kind: 'writing',
    flash: idle,
    began: null,
    now: null,
    asking: false,
    cancelling: false,
    skipping: false,
    finishing: null,
  };
}

/** The images that the filter lets through. */
export function filtered({ images, filter }: Pick<State, 'images' | 'filter'>): readonly ImageRow[] {
  const wanted = filter.toLowerCase();
  return wanted === '' ? images.rows : images.rows.filter(({ name }) => name.toLowerCase().includes(wanted));
}

export const sourceText = (source: Source): string => (source.kind === 'folder' ? source.path : source.shown);

/** True when the flash of the result put everything on the disk. */
export const succeeded = (flash: FlashState): boolean => flash.outcome === 'done';
