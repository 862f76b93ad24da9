import { Menu, type MenuItemConstructorOptions } from 'electron';
import type { Announcements } from '../../shared/app/contract.ts';
import type { Words } from '../../shared/app/words.ts';

export interface MenuActions {
  readonly openImage: () => void;
  readonly show: (screen: Announcements['show']) => void;
  /** Moves the keyboard between the window and pages that are drawn over it. */
  readonly switchPanes: () => void;
}

/** The menu of the app. It is hidden where windows have menus of their own; its keys work all the same. */
export function setMenu(words: Words, actions: MenuActions): void {
  const own: MenuItemConstructorOptions[] = [
    { label: words.openImage, accelerator: 'CommandOrControl+O', click: actions.openImage },
    { type: 'separator' },
    {
      label: words.appliance,
      accelerator: 'CommandOrControl+Shift+N',
      click: () => actions.show('appliance'),
    },
    { label: words.history, accelerator: 'CommandOrControl+Shift+H', click: () => actions.show('history') },
    { label: words.settings, accelerator: 'CommandOrControl+,', click: () => actions.show('settings') },
    { type: 'separator' },
    { label: words.quit, role: 'quit' },
  ];
  const edit: MenuItemConstructorOptions[] = [
    { role: 'undo' },
    { role: 'redo' },
    { type: 'separator' },
    { role: 'cut' },
    { role: 'copy' },
    { role: 'paste' },
    { role: 'selectAll' },
  ];
  const view: MenuItemConstructorOptions[] = [
    { role: 'resetZoom' },
    { role: 'zoomIn' },
    { role: 'zoomOut' },
    { type: 'separator' },
    { label: words.switchPanes, accelerator: 'F6', click: actions.switchPanes },
    { role: 'togglefullscreen' },
  ];
  const template: MenuItemConstructorOptions[] = [
    { label: words.file, submenu: own },
    { label: words.edit, submenu: edit },
    { label: words.view, submenu: view },
  ];
  Menu.setApplicationMenu(Menu.buildFromTemplate(template));
}
