import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { app, type BrowserWindow, clipboard, dialog, type WebContents } from 'electron';
import { type ApplianceWish, wishIn } from '../../shared/app/appliance.ts';
import { type BatchState, type FlashRequest, type JobState, lanesOf } from '../../shared/app/batch.ts';
import type { About, Announcements, Opening } from '../../shared/app/contract.ts';
import { type AppDisk, obstacle } from '../../shared/app/disk.ts';
import type { AppImage } from '../../shared/app/image.ts';
import {
  type HistoryEntry,
  historyIn,
  historyLength,
  type Recent,
  recentIn,
  remembered,
  type Settings,
  type SettingsPatch,
  settingsIn,
} from '../../shared/app/settings.ts';
import { languageOf, type Words, wordsIn } from '../../shared/app/words.ts';
import { failure } from '../../shared/failure.ts';
import { type ApplianceOperations, AppliancePart } from './appliance/part.ts';
import { Batches } from './batch.ts';
import { DiskWatch } from './disks.ts';
import { announce, type Operations, openDoor } from './door.ts';
import { isPrivileged } from './elevate.ts';
import { Images } from './images.ts';
import { Manners } from './manners.ts';
import { setMenu } from './menu.ts';
import type { Programs } from './program.ts';
import { Store } from './store.ts';
import { setVirtualDisk } from './virtual.ts';
import { type Bounds, makeWindow } from './window.ts';

interface Stores {
  readonly settings: Store<Settings>;
  readonly recent: Store<readonly Recent[]>;
  readonly history: Store<readonly HistoryEntry[]>;
  readonly bounds: Store<Bounds>;
  readonly wish: Store<ApplianceWish | null>;
}

/** The app: one window, and everything that it works with. */
export class Desk {
  readonly #folder: string;
  readonly #data = app.getPath('userData');
  readonly #disks: DiskWatch;
  readonly #images: Images;
  readonly #batches: Batches;
  readonly #manners = new Manners();
  readonly #programs: Programs;
  readonly #stored = openStores(this.#data);
  #stores: Stores | null = null;
  #appliance: AppliancePart | null = null;
  #window: BrowserWindow | null = null;
  /** What to open, until the page has asked for it. */
  #opening: Opening | null = null;
  /** Whether the page follows what it is told. */
  #greeted = false;
  #begun: (() => void) | null = null;
  #leaving = false;

  constructor(folder: string, programs: Programs) {
    this.#folder = folder;
    this.#programs = programs;
    const program = programs.bty;
    this.#disks = new DiskWatch(program, (news) => announce(this.#window, 'disks', news));
    this.#images = new Images(program);
    this.#batches = new Batches(program, {
      changed: (batch) => this.#follow(batch),
      jobEnded: (batch, job) => this.#remember(batch, job),
    });
  }

  /** Opens the window. */
  async begin(): Promise<void> {
    const stores = await this.#stored;
    this.#stores = stores;
    const window = makeWindow(this.#folder, stores.bounds.value);
    this.#window = window;
    const appliance = new AppliancePart(this.#programs.appliance, this.#data, stores.wish, window);
    this.#appliance = appliance;
    openDoor(window, { ...this.#operations(stores, appliance), ...this.#applianceOperations(appliance) });
    window.on('close', (event) => this.#askBeforeClose(event));
    window.on('focus', () => window.flashFrame(false));
    window.on('resized', () => void stores.bounds.set(boundsOf(window)));
    window.on('closed', () => {
      this.#window = null;
    });
    window.webContents.on('did-start-loading', () => {
      this.#greeted = false;
    });
    window.webContents.on('render-process-gone', (_event, { reason }) => {
      if (reason !== 'clean-exit' && !window.isDestroyed()) window.webContents.reload();
    });
    // What takes a while begins when the page has what it needs to draw itself.
    await new Promise<void>((resolve) => {
      this.#begun = resolve;
    });
    await this.#applySettings(stores.settings.value);
    this.#disks.start();
    await appliance.mode.begin();
  }

  /** Pages of the appliance may go to other pages of it; everybody else stays where it is. */
  mayGo(contents: WebContents, address: string): boolean {
    return this.#appliance?.pages.allows(contents, address) ?? false;
  }

  /** Brings the window to the front. */
  show(): void {
    const window = this.#window;
    if (!window || window.isDestroyed()) return;
    if (window.isMinimized()) window.restore();
    window.show();
    window.focus();
  }

  /** Opens an image that something outside of the window names. */
  open(opening: Opening | null): void {
    if (opening === null) return;
    if (this.#greeted) announce(this.#window, 'opening', opening);
    else this.#opening = opening;
  }

  askBeforeQuit(event: Electron.Event): void {
    if (this.#leaving || !this.#window || this.#running === null) return;
    event.preventDefault();
    this.#askPerson(this.#running);
  }

  /** What the end of the app would end. */
  get #running(): Announcements['closing'] | null {
    if (this.#batches.busy) return 'flash';
    return this.#appliance?.mode.needsApp ? 'appliance' : null;
  }

  /** Ends what is being written and an appliance that is not to stay, and the app when that has ended. */
  abandon(): void {
    this.#leaving = true;
    this.#images.forget();
    const mode = this.#appliance?.mode;
    const ends = [this.#batches.abandon(), mode?.needsApp ? mode.close() : mode?.forget()];
    void Promise.all(ends).then(() => app.quit());
  }

  /** Nothing that we started outlives the app, but an appliance that is to stay. */
  quit(event: Electron.Event): void {
    this.#disks.stop();
    this.#images.forget();
    if (this.#running === null) return;
    event.preventDefault();
    this.abandon();
  }

  #applianceOperations(appliance: AppliancePart) {
    return appliance.operations({
      browse: () => this.#browse('folder', []),
      leave: () => this.abandon(),
    });
  }

  #operations(stores: Stores, appliance: AppliancePart): Omit<Operations, keyof ApplianceOperations> {
    return {
      hello: () => {
        this.#greeted = true;
        // Once the answer is on its way.
        setImmediate(() => this.#begun?.());
        return {
          about: this.#about(),
          settings: stores.settings.value,
          recent: stores.recent.value,
          disks: this.#disks.news,
          batch: this.#batches.state,
          image: this.#images.chosen,
          opening: this.#takeOpening(),
          appliance: appliance.mode.state,
        };
      },
      'settings.change': (patch) => this.#changeSettings(stores, patch),
      'settings.addCatalog': async () => {
        const path = await this.#browse('catalogs', ['toml']);
        const { catalogs } = stores.settings.value;
        if (path === null || catalogs.includes(path)) return stores.settings.value;
        return this.#changeSettings(stores, { catalogs: [...catalogs, path] });
      },
      'image.browse': () => this.#browse('images', imageSuffixes),
      'image.inspect': async (choice) => {
        const image = await this.#images.inspect(choice);
        if (image.problem === null) {
          const { location, name } = image;
          const { sha256 } = choice;
          const newest = { location, name, ...(sha256 === undefined ? {} : { sha256 }) };
          await stores.recent.set(remembered(stores.recent.value, newest));
          announce(this.#window, 'recent', stores.recent.value);
        }
        return image;
      },
      'image.forget': () => {
        this.#images.forget();
        return null;
      },
      'recent.forget': async ({ location }) => {
        await stores.recent.set(stores.recent.value.filter((known) => known.location !== location));
        return stores.recent.value;
      },
      'catalog.list': ({ location }) => this.#images.catalog(location),
      'disks.refresh': async () => {
        await this.#disks.refresh();
        return null;
      },
      'flash.start': (request) => {
        const image = this.#images.chosen;
        if (!image || image.problem !== null) throw failure('IMAGE_NOT_CHOSEN', {});
        this.#batches.start(image, this.#chosenDisks(request, image), request);
        return null;
      },
      'flash.add': (request) => {
        const image = this.#batches.state?.image;
        if (!image) throw failure('IMAGE_NOT_CHOSEN', {});
        this.#batches.add(this.#chosenDisks(request, image), request);
        return null;
      },
      'flash.cancel': ({ job }) => this.#done(() => this.#batches.cancel(job)),
      'flash.skip': ({ job }) => this.#done(() => this.#batches.skip(job)),
      'flash.leave': () => this.#done(() => this.#batches.leave()),
      'text.copy': ({ text }) => this.#done(() => clipboard.writeText(text)),
      'report.save': ({ text }) => this.#saveReport(text),
      'history.list': () => stores.history.value,
      'history.clear': async () => {
        await stores.history.set([]);
        return null;
      },
      'window.close': () => this.#done(() => this.#window?.close()),
      'window.abandon': () => this.#done(() => this.abandon()),
    };
  }

  #done(work: () => void): null {
    work();
    return null;
  }

  #about(): About {
    return {
      version: app.getVersion(),
      electron: process.versions.electron ?? '',
      platform: process.platform,
      locale: app.getLocale(),
      privileged: isPrivileged(),
      home: homedir(),
    };
  }

  #takeOpening(): Opening | null {
    const opening = this.#opening;
    this.#opening = null;
    return opening;
  }

  /** The disks that were shown under these names. What the window says about them beyond that is not listened to. */
  #chosenDisks(request: FlashRequest, image: AppImage): readonly AppDisk[] {
    return [...new Set(request.disks)].map((id) => {
      const disk = this.#disks.news.disks.find((known) => known.id === id);
      if (!disk) throw failure('DISK_LEFT', { disk: id.split('|')[0] ?? id });
      if (disk.system && !request.allowSystem) {
        throw failure('TARGET_IS_SYSTEM', { target: disk.path, mounts: disk.mounts });
      }
      const reason = obstacle(disk, image.imageBytes);
      if (reason?.kind === 'small') {
        const sizes = { imageBytes: image.imageBytes ?? 0, targetBytes: disk.size };
        throw failure('TARGET_TOO_SMALL', { target: disk.path, image: image.name, ...sizes });
      }
      return disk;
    });
  }

  async #changeSettings(stores: Stores, patch: SettingsPatch): Promise<Settings> {
    await stores.settings.set(settingsIn({ ...stores.settings.value, ...patch }));
    await this.#applySettings(stores.settings.value);
    announce(this.#window, 'settings', stores.settings.value);
    return stores.settings.value;
  }

  async #applySettings(settings: Settings): Promise<void> {
    const path = join(this.#data, 'virtual-disk.img');
    const virtual = await setVirtualDisk(path, settings.virtualDisk);
    if (!settings.keepHistory) await this.#stores?.history.set([]);
    this.#setMenu();
    await this.#disks.include(settings.allowLoops, virtual);
  }

  #words(): Words {
    return wordsIn(languageOf(this.#stores?.settings.value.language ?? 'system', app.getLocale()));
  }

  #setMenu(): void {
    setMenu(this.#words(), {
      openImage: () =>
        void this.#browse('images', imageSuffixes).then((path) => {
          if (path !== null) this.open({ location: path, by: 'file' });
        }),
      show: (screen) => announce(this.#window, 'show', screen),
      switchPanes: () => this.#appliance?.pages.switchFocus(),
    });
  }

  async #browse(
    kind: 'images' | 'catalogs' | 'folder',
    extensions: readonly string[],
  ): Promise<string | null> {
    const window = this.#window;
    if (!window) return null;
    const words = this.#words();
    const titles = { images: words.openImage, catalogs: words.catalogs, folder: words.imageFolder };
    const { canceled, filePaths } = await dialog.showOpenDialog(window, {
      title: titles[kind],
      ...(kind === 'folder'
        ? { properties: ['openDirectory', 'createDirectory'] }
        : {
            properties: ['openFile'],
            filters: [
              { name: words[kind], extensions: [...extensions] },
              { name: words.allFiles, extensions: ['*'] },
            ],
          }),
    });
    return canceled ? null : (filePaths[0] ?? null);
  }

  async #saveReport(text: string): Promise<boolean> {
    const window = this.#window;
    if (!window) return false;
    const { canceled, filePath } = await dialog.showSaveDialog(window, {
      title: this.#words().saveReport,
      defaultPath: join(app.getPath('documents'), 'bty-report.txt'),
    });
    if (canceled || !filePath) return false;
    await writeFile(filePath, text, { mode: 0o600 });
    return true;
  }

  #follow(batch: BatchState | null): void {
    announce(this.#window, 'batch', batch);
    this.#manners.follow(this.#window, batch, this.#words());
  }

  #remember(batch: BatchState, job: JobState): void {
    const { history, settings } = this.#stores ?? {};
    const lanes = lanesOf(batch).filter((lane) => lane.job === job.id);
    if (history && settings?.value.keepHistory) {
      const entries = lanes.map(({ disk, outcome, verified, target }): HistoryEntry => {
        const { name, path, serial, size } = disk;
        const written = target?.result?.account.written ?? 0;
        const at = Date.now();
        const result = outcome ?? 'failed';
        return {
          at,
          image: batch.image.name,
          disk: name || path,
          serial,
          size,
          outcome: result,
          verified,
          written,
        };
      });
      void history.set([...entries, ...history.value].slice(0, historyLength));
    }
    if (!this.#batches.busy) this.#manners.tellEnd(this.#window, batch, this.#words());
  }

  #askBeforeClose(event: Electron.Event): void {
    if (this.#leaving || this.#running === null) return;
    event.preventDefault();
    this.#askPerson(this.#running);
  }

  #askPerson(running: Announcements['closing']): void {
    this.show();
    announce(this.#window, 'closing', running);
  }
}

async function openStores(folder: string): Promise<Stores> {
  const [settings, recent, history, bounds, wish] = await Promise.all([
    Store.open(join(folder, 'settings.json'), settingsIn),
    Store.open(join(folder, 'recent.json'), recentIn),
    Store.open(join(folder, 'history.json'), historyIn),
    Store.open(join(folder, 'window.json'), boundsIn),
    Store.open(join(folder, 'appliance.json'), wishIn),
  ]);
  return { settings, recent, history, bounds, wish };
}

const defaultBounds: Bounds = { width: 1040, height: 720 };

function boundsOf(window: BrowserWindow): Bounds {
  const { width, height } = window.getNormalBounds();
  return { width, height };
}

function boundsIn(stored: unknown): Bounds {
  if (typeof stored !== 'object' || stored === null) return defaultBounds;
  const { width, height } = stored as Partial<Record<keyof Bounds, unknown>>;
  const fits = (value: unknown): value is number => Number.isInteger(value) && Number(value) < 20_000;
  return fits(width) && fits(height)
    ? { width: Math.max(640, width), height: Math.max(480, height) }
    : defaultBounds;
}

const imageSuffixes = ['img', 'iso', 'raw', 'wic', 'qcow2', 'gz', 'xz', 'bz2', 'zst', 'lz4', 'zip', 'bri'];
