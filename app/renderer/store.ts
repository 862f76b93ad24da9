import { create } from 'zustand';
import type { ApplianceState, Machines } from '../../shared/app/appliance.ts';
import { type BatchState, type FlashRequest, isBusy, type Verify } from '../../shared/app/batch.ts';
import type { About, DiskNews, Hello, Opening } from '../../shared/app/contract.ts';
import { type AppDisk, isExternal, obstacle, preselected, sameDisk } from '../../shared/app/disk.ts';
import { type AppImage, type ImageChoice, nameIn } from '../../shared/app/image.ts';
import {
  defaultSettings,
  type Recent,
  type Settings,
  type SettingsPatch,
} from '../../shared/app/settings.ts';
import { languageOf } from '../../shared/app/words.ts';
import { type FailureReport, failure } from '../../shared/failure.ts';
import { ask, bridge, Refusal } from './client.ts';
import { speak } from './i18n.ts';

export type Screen = 'flash' | 'appliance' | 'history' | 'settings';
export type Sheet = 'address' | 'catalog' | 'system' | 'closing' | 'leaving' | 'password' | 'add';

export type Chosen =
  | { readonly kind: 'none' }
  | { readonly kind: 'looking'; readonly name: string; readonly byLink: boolean }
  | { readonly kind: 'image'; readonly image: AppImage; readonly byLink: boolean };

export interface State {
  readonly about: About;
  readonly settings: Settings;
  readonly recent: readonly Recent[];
  readonly disks: DiskNews;
  readonly batch: BatchState | null;
  readonly image: Chosen;
  /** Disks that are chosen, by their id. */
  readonly picked: ReadonlySet<string>;
  /** True once the person has chosen or unchosen a disk: nothing is chosen for them from then on. */
  readonly touched: boolean;
  readonly showSystem: boolean;
  readonly screen: Screen;
  readonly sheet: Sheet | null;
  readonly failure: FailureReport | null;
  readonly appliance: ApplianceState;
  readonly machines: Machines;
}

const nowhere: About = { version: '', electron: '', platform: '', locale: 'en', privileged: false, home: '' };

const noAppliance: ApplianceState = {
  stage: { kind: 'off' },
  wish: null,
  interfaces: null,
  problem: null,
  facts: null,
  ownFolder: '',
};

export const useStore = create<State>()(() => ({
  about: nowhere,
  settings: defaultSettings,
  recent: [],
  disks: { disks: [], problem: null, looked: false },
  batch: null,
  image: { kind: 'none' },
  picked: new Set<string>(),
  touched: false,
  showSystem: false,
  screen: 'flash',
  sheet: null,
  failure: null,
  appliance: noAppliance,
  machines: { machines: [], story: null },
}));

const { getState, setState } = useStore;

/** Begins with what the program tells, and follows it from then on. */
export function follow(hello: Hello): void {
  const image: Chosen = hello.image ? { kind: 'image', image: hello.image, byLink: false } : { kind: 'none' };
  const { about, settings, recent, batch, appliance } = hello;
  setState({ about, settings, recent, batch, image, appliance });
  takeDisks(hello.disks);
  const door = bridge();
  door.on('disks', takeDisks);
  door.on('batch', (batch) => setState({ batch }));
  door.on('settings', takeSettings);
  door.on('recent', (recent) => setState({ recent }));
  door.on('opening', open);
  door.on('closing', (running) => setState({ sheet: running === 'flash' ? 'closing' : 'leaving' }));
  door.on('appliance', (appliance) => setState({ appliance }));
  door.on('machines', (machines) => setState({ machines }));
  door.on('show', (screen) => setState({ screen }));
  door.onDrop((location) => open({ location, by: 'file' }));
  if (hello.opening) open(hello.opening);
}

/** What the disks are that the window lists now. */
export function listed(state: State): readonly AppDisk[] {
  return state.disks.disks.filter((disk) => !disk.system || state.showSystem);
}

export function imageOf(state: State): AppImage | null {
  return state.image.kind === 'image' ? state.image.image : null;
}

/** Bytes that a disk must hold for the image, null where that is unknown. */
export function needOf(image: AppImage | null): number | null {
  return image?.imageBytes ?? image?.atLeastBytes ?? null;
}

/** Disks that are chosen and can be written. */
export function pickedDisks(state: State): readonly AppDisk[] {
  const need = needOf(imageOf(state));
  return listed(state).filter((disk) => state.picked.has(disk.id) && obstacle(disk, need) === null);
}

function takeDisks(disks: DiskNews): void {
  setState({ disks });
  chooseForPerson();
}

/** Keeps what is chosen to what is there, and chooses the only stick for a person who has not chosen yet. */
function chooseForPerson(): void {
  const { disks, picked, touched, image } = getState();
  const present = new Set([...picked].filter((id) => disks.disks.some((disk) => disk.id === id)));
  if (touched) {
    setState({ picked: present, touched: present.size > 0 || picked.size === 0 });
    return;
  }
  const only = preselected(disks.disks, needOf(image.kind === 'image' ? image.image : null));
  setState({ picked: new Set(only ? [only.id] : []) });
}

export function pick(ids: readonly string[]): void {
  setState({ picked: new Set(ids), touched: true });
}

function takeSettings(settings: Settings): void {
  setState({ settings });
  void speak(languageOf(settings.language, getState().about.locale));
}

function open({ location, by }: Opening): void {
  const { batch } = getState();
  if (isBusy(batch)) {
    setState({ failure: failure('FLASH_RUNNING', {}).report() });
    return;
  }
  if (batch !== null) void leave();
  setState({ screen: 'flash', sheet: null });
  void choose({ location }, by === 'link');
}

/** Runs `work`; what fails is shown. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    setState({ failure: null });
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.failure.code !== 'CANCELLED') setState({ failure: error.failure });
    return false;
  }
}

let looks = 0;

export async function choose(choice: ImageChoice, byLink = false): Promise<void> {
  const look = ++looks;
  const name = choice.name ?? nameIn(choice.location);
  setState({ image: { kind: 'looking', name, byLink }, sheet: null });
  const done = await attempt(async () => {
    const image = await ask('image.inspect', choice);
    if (look === looks) setState({ image: { kind: 'image', image, byLink } });
  });
  if (!done && look === looks) setState({ image: { kind: 'none' } });
  chooseForPerson();
}

export async function browse(): Promise<void> {
  await attempt(async () => {
    const location = await ask('image.browse', {});
    if (location !== null) await choose({ location });
  });
}

export async function forgetImage(): Promise<void> {
  looks++;
  setState({ image: { kind: 'none' }, failure: null });
  await attempt(() => ask('image.forget', {}));
}

export async function changeSettings(patch: SettingsPatch): Promise<void> {
  await attempt(async () => takeSettings(await ask('settings.change', patch)));
}

/** Begins to write to the disks that are chosen. */
export async function flash(allowSystem: boolean): Promise<void> {
  const { settings } = getState();
  const disks = pickedDisks(getState()).map(({ id }) => id);
  await attempt(() =>
    ask('flash.start', { disks, verify: settings.verify as Verify, allowSystem, allowCut: false }),
  );
}

export async function addDisks(request: FlashRequest): Promise<void> {
  await attempt(() => ask('flash.add', request));
}

/** Writes another one: the image stays, the disks are chosen anew. */
export async function leave(): Promise<void> {
  setState({ picked: new Set(), touched: false, showSystem: false, sheet: null });
  await attempt(() => ask('flash.leave', {}));
  chooseForPerson();
}

/** True when a disk that could be written, and that comes and goes, is there. */
export function hasExternal(state: State): boolean {
  return state.disks.disks.some((disk) => isExternal(disk) && !disk.system);
}

/** A disk again that was in a batch: the same one, wherever it is plugged in now. */
export function again(disk: AppDisk, state: State): AppDisk | null {
  return sameDisk(disk, state.disks.disks);
}
