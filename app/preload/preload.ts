import { contextBridge, ipcRenderer, webUtils } from 'electron';
import { announcements, channels } from '../../shared/app/channels.ts';
import type { Announcement, Bridge } from '../../shared/app/contract.ts';

/** The one door between the page and the program: questions, announcements, and paths of files dropped onto the page. */
type Listener = (news: never) => void;
const listeners = new Map<Announcement, Set<Listener>>(announcements.map((name) => [name, new Set()]));
const dropped = new Set<(path: string) => void>();

ipcRenderer.on(channels.announce, (_event, name: Announcement, news: unknown) => {
  for (const listener of listeners.get(name) ?? []) listener(news as never);
});

// A file that is dropped onto a page would be opened in its place. Listened to here, where its path can be had.
window.addEventListener('dragover', (event) => event.preventDefault());
window.addEventListener('drop', (event) => {
  event.preventDefault();
  for (const file of event.dataTransfer?.files ?? []) {
    const path = pathOf(file);
    if (path !== '') for (const listener of dropped) listener(path);
    return;
  }
});

/** Electron 29 brought `webUtils`; before it a file told its path itself. */
function pathOf(file: File): string {
  const utils = webUtils as typeof webUtils | undefined;
  if (utils) return utils.getPathForFile(file);
  const { path } = file as File & { readonly path?: unknown };
  return typeof path === 'string' ? path : '';
}

const bridge: Bridge = {
  call: (operation, input) => ipcRenderer.invoke(channels.call, operation, input),
  on: (name, listener) => {
    const known = listeners.get(name);
    known?.add(listener as Listener);
    return () => void known?.delete(listener as Listener);
  },
  onDrop: (listener) => {
    dropped.add(listener);
    return () => void dropped.delete(listener);
  },
};
contextBridge.exposeInMainWorld('bty', bridge);
