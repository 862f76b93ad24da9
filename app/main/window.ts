import { join } from 'node:path';
import { BrowserWindow, nativeTheme } from 'electron';
import { pageAddress } from './page.ts';

/** Colour behind the page until it has drawn itself; the same as in its style sheet. */
const backgrounds = { light: '#f5f4f1', dark: '#15181b' } as const;

export interface Bounds {
  readonly width: number;
  readonly height: number;
}

/** Makes the window, and loads the page into it. It shows itself once there is something to see. */
export function makeWindow(folder: string, bounds: Bounds): BrowserWindow {
  const window = new BrowserWindow({
    ...bounds,
    minWidth: 640,
    minHeight: 480,
    show: false,
    title: 'bty',
    icon: join(folder, 'renderer', 'icon.png'),
    autoHideMenuBar: true,
    backgroundColor: nativeTheme.shouldUseDarkColors ? backgrounds.dark : backgrounds.light,
    webPreferences: {
      preload: join(folder, 'preload.cjs'),
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webviewTag: false,
      webSecurity: true,
      allowRunningInsecureContent: false,
      navigateOnDragDrop: false,
      spellcheck: false,
      // A person who looks elsewhere meanwhile is told of the end at once.
      backgroundThrottling: false,
    },
  });
  window.once('ready-to-show', () => window.show());
  void window.loadURL(pageAddress).catch(() => {});
  return window;
}
