import type { keepingWords as en } from './en.ts';

/** Wörter dessen, was die Appliance aufbewahrt. */
export const keepingWords: typeof en = {
  retention: 'Aufbewahrung',
  forEver: 'Ereignisse werden für immer aufbewahrt.',
  days_one: 'Ereignisse werden {{count}} Tag aufbewahrt.',
  days_other: 'Ereignisse werden {{count}} Tage aufbewahrt.',
  oldest: 'Das älteste ist von',
  changed: 'Das wurde hier gewählt; Schalter, Umgebung und bty.toml sagen etwas anderes.',
  change: 'Ändern…',
  title: 'Wie lange werden Ereignisse aufbewahrt?',
  keep: 'Ereignisse aufbewahren',
  choices: {
    configured: 'wie bty.toml sagt',
    forEver: 'für immer',
    some: 'für so viele Tage:',
  },
  number: 'Tage',
  text: 'Ältere Ereignisse werden sofort entfernt und lassen sich nicht zurückholen. Die Kette der übrigen bleibt beweisbar.',
  apply: 'Ältere entfernen',
  applyForEver: 'Alle behalten',
  done: 'Ereignisse werden so aufbewahrt.',
  backup: 'Sichern und wiederherstellen',
  backupHint:
    'Maschinen, Aufgaben, Einstellungen und Leases des Netzes, Ereignisse, Token und Schlüssel in einer Datei. Abbilder sind nicht darin. Gut verwahren: Sie enthält Geheimnisse.',
  backupDo: 'Sicherung herunterladen',
  restore: 'Sicherung wiederherstellen…',
  sending: 'Die Sicherung wird gesendet…',
  restoreTitle: 'Diese Sicherung wiederherstellen?',
  file: 'Datei',
  made: 'Gemacht',
  by: 'Von',
  holds: 'Sie enthält',
  machines_one: '{{count}} Maschine',
  machines_other: '{{count}} Maschinen',
  events_one: '{{count}} Ereignis',
  events_other: '{{count}} Ereignisse',
  restoreText:
    'Alles, was die Appliance jetzt weiß, wird durch sie ersetzt: Maschinen, Einstellungen des Netzes, auch Token und das Passwort. Was läuft, wird angehalten, und die Appliance startet neu. Der jetzige Stand bleibt im Ordner backups daneben erhalten.',
  restoreWord: 'wiederherstellen',
  restoreDo: 'Wiederherstellen',
  restoring: 'Die Appliance startet mit der Sicherung neu. Diese Seite kommt von selbst wieder…',
};
