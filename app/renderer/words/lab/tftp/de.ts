import type { tftpWords as en } from './en.ts';

/** Wörter davon, wie es TFTP geht. */
export const tftpWords: typeof en = {
  title: 'TFTP',
  hint: 'Hier holt Firmware ihr Startprogramm; alles danach kommt über HTTP.',
  off: 'TFTP ist abgeschaltet: Nur Maschinen, die über HTTP starten oder iPXE mitbringen, werden bedient.',
  none: 'TFTP dient nirgends, weil an keinem Anschluss auf Starts geantwortet wird.',
  running: 'Läuft gerade',
  done: 'Gesendet',
  bytes: 'Bytes',
  failed: 'Abgebrochen',
  refused: 'Abgelehnt',
  probes: 'Nur nach der Größe gefragt',
  busy: 'Aufgeschoben',
  foreign: 'Von anderswo',
  malformed: 'Fehlerhaft',
};
