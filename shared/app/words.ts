/** The few words that the program behind the window needs itself; the window brings its own (app/renderer/words). */
import type { Worst } from './batch.ts';

export interface Words {
  readonly app: string;
  readonly file: string;
  readonly openImage: string;
  readonly images: string;
  readonly catalogs: string;
  readonly allFiles: string;
  readonly edit: string;
  readonly view: string;
  readonly settings: string;
  readonly history: string;
  readonly appliance: string;
  readonly switchPanes: string;
  readonly imageFolder: string;
  readonly quit: string;
  readonly saveReport: string;
  readonly ended: Readonly<Record<Worst, string>>;
}

const en: Words = {
  app: 'bty',
  file: 'File',
  openImage: 'Open image…',
  images: 'Disk images',
  catalogs: 'Catalogs',
  allFiles: 'All files',
  edit: 'Edit',
  view: 'View',
  settings: 'Settings…',
  history: 'History…',
  appliance: 'Network boot…',
  switchPanes: 'Next part of the window',
  imageFolder: 'Folder for images',
  quit: 'Quit',
  saveReport: 'Save report',
  ended: {
    done: 'Written and verified',
    unverified: 'Written, not verified',
    cancelled: 'Cancelled',
    failed: 'Not everything was written',
  },
};

const de: Words = {
  app: 'bty',
  file: 'Datei',
  openImage: 'Abbild öffnen…',
  images: 'Datenträger-Abbilder',
  catalogs: 'Kataloge',
  allFiles: 'Alle Dateien',
  edit: 'Bearbeiten',
  view: 'Ansicht',
  settings: 'Einstellungen…',
  history: 'Verlauf…',
  appliance: 'Netzwerkstart…',
  switchPanes: 'Nächster Teil des Fensters',
  imageFolder: 'Ordner für Abbilder',
  quit: 'Beenden',
  saveReport: 'Bericht speichern',
  ended: {
    done: 'Geschrieben und geprüft',
    unverified: 'Geschrieben, nicht geprüft',
    cancelled: 'Abgebrochen',
    failed: 'Nicht alles wurde geschrieben',
  },
};

export type Language = 'en' | 'de';

/** Language of the app: the one that was set, else that of the system, else English. */
export function languageOf(setting: 'system' | Language, locale: string): Language {
  if (setting !== 'system') return setting;
  return /^de\b/i.test(locale) ? 'de' : 'en';
}

export function wordsIn(language: Language): Words {
  return language === 'de' ? de : en;
}
