import {
  BrowserView,
  type BrowserWindow,
  type Session,
  session,
  type WebContents,
  WebContentsView,
} from 'electron';
import type { ApplianceFrame } from '../../../shared/app/appliance.ts';
import { urlOf } from '../../../shared/app/url.ts';
import { sessionCookie } from './client.ts';

/**
 * The appliance's own pages, drawn over a part of the window: a browser without any right, in a session of its own
 * that is forgotten with the app, which can reach that one appliance and nothing else.
 */
export class PagesView {
  readonly #window: BrowserWindow;
  #contents: WebContents | null = null;
  #place: ((frame: ApplianceFrame) => void) | null = null;
  #frame: ApplianceFrame = null;
  #origin: string | null = null;

  constructor(window: BrowserWindow) {
    this.#window = window;
  }

  /** Lets the pages of the appliance at `url` in with `cookie`, and loads the first one unless one is there already. */
  async open(url: string, cookie: string): Promise<void> {
    const own = session.fromPartition('appliance');
    const isNew = this.#origin !== url;
    this.#origin = url;
    this.#confine(own);
    await own.cookies.set({
      url,
      name: sessionCookie,
      value: cookie,
      path: '/',
      httpOnly: true,
      sameSite: 'strict',
    });
    const contents = this.#contents ?? this.#make(own);
    const shown = urlOf(contents.getURL());
    if (isNew || shown?.pathname === '/ui/login')
      await contents.loadURL(`${url}/ui/dashboard`).catch(() => {});
    this.#draw();
  }

  /** Where they are seen from now on; null: nowhere. */
  show(frame: ApplianceFrame): void {
    this.#frame = frame;
    this.#draw();
  }

  /** Moves the keyboard to the pages, or back to the window. */
  switchFocus(): void {
    const contents = this.#contents;
    if (contents && this.#frame && !contents.isFocused()) contents.focus();
    else this.#window.webContents.focus();
  }

  /** Whether `contents` are these pages, and may go to `address`. */
  allows(contents: WebContents, address: string): boolean {
    return contents === this.#contents && this.#isOwn(address);
  }

  /** The appliance is gone: nothing of it stays on the screen or in memory. */
  close(): void {
    this.#origin = null;
    const contents = this.#contents;
    this.#place?.(null);
    this.#contents = null;
    this.#place = null;
    if (contents && !contents.isDestroyed()) contents.close();
    void session.fromPartition('appliance').clearStorageData();
  }

  #isOwn(address: string): boolean {
    return this.#origin !== null && urlOf(address)?.origin === this.#origin;
  }

  #confine(own: Session): void {
    own.webRequest.onBeforeRequest((details, answer) => {
      const local = /^(blob|data|devtools):/.test(details.url);
      answer({ cancel: !local && !this.#isOwn(details.url) });
    });
    own.setPermissionRequestHandler((_contents, _permission, answer) => answer(false));
    own.setPermissionCheckHandler(() => false);
    own.setSpellCheckerEnabled(false);
  }

  /** A page cannot ask here whether it may be left, and must not keep the window: what it has to say it says itself. */
  #free(contents: WebContents): WebContents {
    contents.on('will-prevent-unload', (event) => event.preventDefault());
    return contents;
  }

  #make(own: Session): WebContents {
    const webPreferences = {
      session: own,
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      webviewTag: false,
      webSecurity: true,
      spellcheck: false,
      backgroundThrottling: false,
    } as const;
    const window = this.#window;
    // Electron 30 brought views that windows are made of; before it there was one kind that lies over them.
    if (window.contentView as typeof window.contentView | undefined) {
      const view = new WebContentsView({ webPreferences });
      this.#place = (frame) => {
        if (window.isDestroyed()) return;
        if (frame === null) return window.contentView.removeChildView(view);
        window.contentView.addChildView(view);
        view.setBounds(frame);
      };
      this.#contents = this.#free(view.webContents);
    } else {
      const view = new BrowserView({ webPreferences });
      this.#place = (frame) => {
        if (window.isDestroyed()) return;
        window.setBrowserView(frame === null ? null : view);
        if (frame !== null) view.setBounds(frame);
      };
      this.#contents = this.#free(view.webContents);
    }
    return this.#contents;
  }

  #draw(): void {
    const frame = this.#origin === null ? null : this.#frame;
    if (frame === null || this.#window.isDestroyed()) return void this.#place?.(null);
    // What the page calls a pixel grows with its zoom.
    const zoom = this.#window.webContents.getZoomFactor();
    this.#place?.({
      x: Math.round(frame.x * zoom),
      y: Math.round(frame.y * zoom),
      width: Math.round(frame.width * zoom),
      height: Math.round(frame.height * zoom),
    });
  }
}
