/**
 * What the window may ask of the program behind it, and what that tells unasked. The window runs in Electron, over
 * messages between processes, and may one day run in a browser, over HTTP: it knows only this contract.
 */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { FailureReport } from '../failure.ts';
import {
  type ApplianceState,
  ApplianceWish,
  ApplianceFrame as Frame,
  type LogLine,
  type Machines,
} from './appliance.ts';
import { type BatchState, FlashRequest } from './batch.ts';
import type { AppDisk } from './disk.ts';
import { type AppImage, ImageChoice } from './image.ts';
import { type HistoryEntry, type Recent, type Settings, SettingsPatch } from './settings.ts';

const closed = { additionalProperties: false } as const;
const nothing = Type.Object({}, closed);
const location = Type.Object({ location: Type.String({ minLength: 1, maxLength: 4096 }) }, closed);
const jobs = Type.Object({ job: Type.Integer({ minimum: 1 }) }, closed);
const words = Type.Object({ text: Type.String({ maxLength: 1024 * 1024 }) }, closed);

/** Everything that the window may ask, and the form of its one argument. Anything else is refused. */
export const inputs = {
  /** Everything to begin with, also after the window was loaded anew in the middle of a flash. */
  hello: nothing,
  'settings.change': SettingsPatch,
  'settings.addCatalog': nothing,
  'image.browse': nothing,
  'image.inspect': ImageChoice,
  /** Ends an inspection that is still going on. */
  'image.forget': nothing,
  'recent.forget': location,
  'catalog.list': location,
  'disks.refresh': nothing,
  'flash.start': FlashRequest,
  /** Adds disks to the batch, or tries disks of it again. */
  'flash.add': FlashRequest,
  'flash.cancel': jobs,
  'flash.skip': jobs,
  /** Leaves the result of a batch that has ended. */
  'flash.leave': nothing,
  'text.copy': words,
  'report.save': words,
  'history.list': nothing,
  'history.clear': nothing,
  'window.close': nothing,
  /** Closes although something is being written, which ends it. */
  'window.abandon': nothing,
  /** Closes although an appliance runs: it is left running, or stopped. */
  'window.leave': Type.Object({ stay: Type.Boolean() }, closed),
  /** Looks for network interfaces, and for other DHCP servers on them. */
  'appliance.look': nothing,
  'appliance.start': ApplianceWish,
  'appliance.stop': nothing,
  /** Has the person choose a folder for images. */
  'appliance.folder': nothing,
  /** Where the appliance's own pages are drawn. */
  'appliance.frame': Frame,
  'appliance.stay': Type.Object({ stay: Type.Boolean() }, closed),
  /** Makes a new password for browsers elsewhere. */
  'appliance.password': nothing,
  /** Lists the machines, and tells the boot story of this one from now on. */
  'appliance.watch': Type.Object(
    { mac: Type.Union([Type.String({ pattern: '^[0-9a-f]{2}(:[0-9a-f]{2}){5}$' }), Type.Null()]) },
    closed,
  ),
  'appliance.log': nothing,
} as const;

export type Operation = keyof typeof inputs;
export type Input<Name extends Operation> = Static<(typeof inputs)[Name]>;

export interface CatalogEntryShown {
  readonly name: string;
  /** Where the image is, ready to be inspected. */
  readonly location: string;
  readonly sha256: string;
  readonly format: string | null;
  readonly sizeBytes: number | null;
  readonly description: string | null;
}

/** The machine and the program, which do not change while it runs. */
export interface About {
  readonly version: string;
  readonly electron: string;
  readonly platform: string;
  /** Language of the system, as in BCP 47. */
  readonly locale: string;
  /** Whether the program may write to disks without asking for permission. */
  readonly privileged: boolean;
  /** Path of the home directory, to leave it out of reports. */
  readonly home: string;
}

export interface DiskNews {
  readonly disks: readonly AppDisk[];
  /** Why the disks cannot be listed, null when they can. */
  readonly problem: FailureReport | null;
  /** False before the first look has ended. */
  readonly looked: boolean;
}

/** An image that something outside of the window asks to open. */
export interface Opening {
  readonly location: string;
  /** `link`: a web page or another program asked, so the person is told. */
  readonly by: 'file' | 'link';
}

export interface Hello {
  readonly about: About;
  readonly settings: Settings;
  readonly recent: readonly Recent[];
  readonly disks: DiskNews;
  readonly batch: BatchState | null;
  readonly image: AppImage | null;
  readonly opening: Opening | null;
  readonly appliance: ApplianceState;
}

export interface Replies {
  hello: Hello;
  'settings.change': Settings;
  'settings.addCatalog': Settings;
  'image.browse': string | null;
  'image.inspect': AppImage;
  'image.forget': null;
  'recent.forget': readonly Recent[];
  'catalog.list': readonly CatalogEntryShown[];
  'disks.refresh': null;
  'flash.start': null;
  'flash.add': null;
  'flash.cancel': null;
  'flash.skip': null;
  'flash.leave': null;
  'text.copy': null;
  'report.save': boolean;
  'history.list': readonly HistoryEntry[];
  'history.clear': null;
  'window.close': null;
  'window.abandon': null;
  'window.leave': null;
  'appliance.look': null;
  'appliance.start': null;
  'appliance.stop': null;
  'appliance.folder': string | null;
  'appliance.frame': null;
  'appliance.stay': null;
  'appliance.password': string;
  'appliance.watch': Machines;
  'appliance.log': readonly LogLine[];
}

export interface Announcements {
  disks: DiskNews;
  batch: BatchState | null;
  settings: Settings;
  recent: readonly Recent[];
  opening: Opening;
  /** The person wants to close the window while something is being written, or while an appliance runs. */
  closing: 'flash' | 'appliance';
  /** A menu entry was chosen. */
  show: 'settings' | 'history' | 'flash' | 'appliance';
  appliance: ApplianceState;
  machines: Machines;
  /** Lines that the appliance's log has more. */
  log: readonly LogLine[];
}
export type Announcement = keyof Announcements;
export type Answer<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly failure: FailureReport };

/** What carries questions and announcements between the window and the program. */
export interface Bridge {
  call<Name extends Operation>(operation: Name, input: Input<Name>): Promise<Answer<Replies[Name]>>;
  /** Calls `listener` with every announcement from now on; the result ends that. */
  on<Name extends Announcement>(name: Name, listener: (news: Announcements[Name]) => void): () => void;
  /** Calls `listener` with the path of a file that is dropped onto the window, where paths can be had. */
  onDrop(listener: (path: string) => void): () => void;
}

export type Parsed = { [Name in Operation]: { operation: Name; input: Input<Name> } }[Operation];

/** A message of the window, when it is one that the contract knows; null otherwise. */
export function parseCall(operation: unknown, input: unknown): Parsed | null {
  if (typeof operation !== 'string' || !Object.hasOwn(inputs, operation)) return null;
  const schema = inputs[operation as Operation];
  return Check(schema, input) ? ({ operation, input } as Parsed) : null;
}
