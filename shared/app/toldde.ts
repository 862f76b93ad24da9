import type { FailureCode } from '../failure.ts';
import { networkDe } from './toldnetde.ts';

/** What a failure says of itself; a field that it does not have makes its English sentence the better one. */
type Told = (name: string) => string;
/** Sentence and advice. Codes that are missing here are told in English. */
export type FailureWords = Readonly<Partial<Record<FailureCode, readonly [(d: Told) => string, string]>>>;

const anew = 'Installieren Sie die App neu, damit ihre Teile dieselbe Version haben.';
const bad = 'Der Datenträger geht kaputt oder ist eine Fälschung; nehmen Sie einen anderen.';
const loadAgain = 'Laden oder kopieren Sie das Abbild erneut.';
const untouched = 'Es wurde nichts geschrieben.';
const unstarted = 'Es wurde nichts gestartet.';
const admin = 'Fragen Sie, wer diesen Rechner verwaltet.';

export const failuresDe: FailureWords = {
  ...networkDe,
  PROGRAM_MISSING: [
    (d) => `Das Programm ${d('program')} lässt sich nicht starten: ${d('problem')}.`,
    'Installieren Sie die App neu: Ein Teil von ihr fehlt.',
  ],
  IMAGE_NOT_CHOSEN: [
    () => 'Es ist kein Abbild gewählt, das geschrieben werden könnte.',
    'Wählen Sie ein Abbild.',
  ],
  DISK_LEFT: [
    (d) => `${d('disk')} ist nicht mehr der Datenträger, der gezeigt wurde: Er wurde gezogen oder getauscht.`,
    'Sehen Sie in der Liste nach und wählen Sie neu.',
  ],
  FLASH_RUNNING: [
    () => 'Es wird schon etwas geschrieben.',
    'Warten Sie, bis es fertig ist, oder brechen Sie es ab.',
  ],
  IMAGE_LOOK_FAILED: [
    (d) => `${d('location')} lässt sich nicht als Abbild lesen: ${d('problem')}`,
    'Wählen Sie ein anderes Abbild.',
  ],

  HELPER_PROTOCOL: [(d) => `Dem Helfer wurde etwas gesagt, das er nicht annimmt: ${d('problem')}.`, anew],
  HELPER_NONSENSE: [(d) => `Der Helfer sagte etwas, das die App nicht kennt: ${d('problem')}.`, anew],
  HELPER_ENDED: [
    () => 'Der Helfer endete, bevor er sagte, wie es ausging.',
    'Halten Sie die Datenträger für unfertig und schreiben Sie sie erneut.',
  ],
  HELPER_HALVED: [
    () => 'Der Teil des Helfers, der die Datenträger hält, wurde beendet; damit endete auch das Schreiben.',
    'Schreiben Sie die Datenträger erneut.',
  ],
  UNMOUNT_FAILED: [
    (d) => `${d('mountpoint')} auf ${d('target')} lässt sich nicht aushängen: ${d('problem')}.`,
    'Schließen Sie Programme und Fenster, die es benutzen, und versuchen Sie es erneut.',
  ],
  ADD_REFUSED: [
    (d) => `${d('target')} kann nicht mehr dazukommen: ${d('reason')}.`,
    'Schreiben Sie ihn, wenn dieses Schreiben zu Ende ist.',
  ],
  ELEVATION_DENIED: [
    () => 'Die Regeln dieses Systems erlauben Ihnen nicht, auf Datenträger zu schreiben.',
    `${admin} ${untouched}`,
  ],
  ELEVATION_WRONG_PASSWORD: [
    () => 'Die Erlaubnis, auf Datenträger zu schreiben, wurde nicht gegeben: Das Passwort war falsch.',
    `Versuchen Sie es mit dem Passwort eines Verwalters erneut. ${untouched}`,
  ],
  ELEVATION_DISMISSED: [
    () => 'Die Frage nach der Erlaubnis wurde geschlossen.',
    `Beginnen Sie erneut und bestätigen Sie sie. ${untouched}`,
  ],
  ELEVATION_NO_AGENT: [
    () => 'Niemand konnte nach der Erlaubnis gefragt werden: Diese Sitzung hat keinen Polkit-Agenten.',
    'Starten Sie einen (Desktops bringen einen mit; im Terminal: pkttyagent) oder rufen Sie „sudo bty flash“ auf.',
  ],
  ELEVATION_UNAVAILABLE: [
    (d) =>
      `Nach der Erlaubnis, auf Datenträger zu schreiben, kann hier nicht gefragt werden: ${d('problem')}.`,
    'Installieren Sie Polkit (pkexec) oder rufen Sie „sudo bty flash“ auf.',
  ],

  TARGET_NOT_FOUND: [(d) => `Unter ${d('target')} ist kein Datenträger.`, 'Wählen Sie neu aus der Liste.'],
  TARGET_READ_ONLY: [
    (d) => `${d('target')} ist schreibgeschützt.`,
    'Schieben Sie den Schalter am Stick oder an der Karte um, oder wählen Sie einen anderen.',
  ],
  TARGET_TOO_SMALL: [
    (d) =>
      `${d('image')} braucht ${d('imageBytes')} Byte, und ${d('target')} fasst ${d('targetBytes')} Byte.`,
    'Wählen Sie einen größeren Datenträger oder ein kleineres Abbild.',
  ],
  TARGET_NO_MEDIUM: [
    (d) => `In ${d('target')} liegt kein Datenträger.`,
    'Legen Sie die Karte oder den Datenträger ein.',
  ],
  TARGET_MOUNTED: [
    (d) => `${d('target')} wird benutzt: eingehängt unter ${d('mounts')}.`,
    'Hängen Sie ihn zuerst aus.',
  ],
  TARGET_HELD: [
    (d) => `${d('target')} wird benutzt: ${d('device')} gehört zu ${d('holders')}.`,
    'Halten Sie zuerst den Verbund oder das Loop-Gerät an.',
  ],
  TARGET_IS_SYSTEM: [
    (d) => `${d('target')} ist der Datenträger, von dem dieses System läuft (${d('mounts')}).`,
    'Wählen Sie einen anderen.',
  ],
  TARGET_HOLDS_SOURCE: [
    (d) => `Auf ${d('target')} liegt das Abbild ${d('image')} selbst.`,
    'Kopieren Sie das Abbild zuerst auf einen anderen Datenträger.',
  ],
  TARGET_BUSY: [
    (d) => `${d('target')} wird von einem anderen Programm allein benutzt.`,
    'Schließen Sie das Programm und versuchen Sie es erneut.',
  ],
  TARGET_CHANGED: [
    (d) => `${d('target')} ist nicht mehr der Datenträger, der gewählt wurde.`,
    'Wählen Sie neu aus der Liste.',
  ],
  TARGET_OPEN_FAILED: [
    (d) => `${d('target')} lässt sich nicht zum Schreiben öffnen: ${d('problem')}.`,
    'Prüfen Sie den Datenträger und seinen Anschluss.',
  ],
  WRITE_FAILED: [
    (d) => `${d('target')} nahm ${d('length')} Byte ab Byte ${d('offset')} nicht an: ${d('problem')}.`,
    bad,
  ],
  WRITE_SHORT: [
    (d) => `${d('target')} nahm nur ${d('written')} von ${d('length')} Byte ab Byte ${d('offset')} an.`,
    bad,
  ],
  FLUSH_FAILED: [
    (d) => `${d('target')} nahm die Daten an, konnte aber nicht alle speichern: ${d('problem')}.`,
    'Der Datenträger geht kaputt oder wurde gezogen; nehmen Sie einen anderen.',
  ],
  DISK_VANISHED: [
    (d) => `${d('target')} verschwand bei Byte ${d('offset')}: Er wurde gezogen oder verlor den Strom.`,
    'Stecken Sie ihn neu ein, ohne Hub dazwischen, und schreiben Sie ihn erneut.',
  ],
  DISK_STALLED: [
    (d) => `${d('target')} antwortet seit ${d('seconds')} Sekunden nicht (bei Byte ${d('offset')}).`,
    'Ziehen Sie ihn, nehmen Sie einen anderen Anschluss oder einen anderen Datenträger.',
  ],
  READ_BACK_FAILED: [
    (d) =>
      `${d('target')} konnte ${d('length')} Byte ab Byte ${d('offset')} nicht zurückgeben: ${d('problem')}.`,
    bad,
  ],
  VERIFY_MISMATCH: [
    (d) =>
      `${d('target')} gab andere Bytes zurück, als geschrieben wurden, zuerst innerhalb von ${d('length')} Byte ab Byte ${d('offset')}.`,
    bad,
  ],

  IMAGE_NOT_FOUND: [(d) => `Unter ${d('image')} ist kein Abbild.`, 'Prüfen Sie den Pfad oder die Adresse.'],
  IMAGE_UNREADABLE: [
    (d) => `${d('image')} lässt sich nicht lesen: ${d('problem')}.`,
    'Prüfen Sie, ob es eine Datei ist, die Sie lesen dürfen.',
  ],
  IMAGE_EMPTY: [(d) => `${d('image')} ist leer: Es gibt nichts zu schreiben.`, loadAgain],
  FORMAT_UNKNOWN: [
    (d) => `Das Format von ${d('image')} ist nicht zu erkennen, weder am Inhalt noch am Namen.`,
    'Nennen Sie rohe Abbilder .img, .raw, .bin, .iso, .wic oder .dd.',
  ],
  IMAGE_CORRUPT: [(d) => `${d('image')} ist beschädigt (${d('format')}: ${d('problem')}).`, loadAgain],
  IMAGE_TRUNCATED: [
    (d) => `${d('image')} endet zu früh: Der ${d('format')}-Strom ist nicht vollständig.`,
    loadAgain,
  ],
  IMAGE_CUT: [
    (d) =>
      `${d('image')} ist abgeschnitten: Es hat ${d('imageBytes')} Byte, und seine Partitionstabelle beschreibt ${d('needed')}.`,
    `${loadAgain} Soll es so sein, lässt es sich trotzdem schreiben.`,
  ],
  DIGEST_MISMATCH: [
    (d) =>
      `${d('image')} ist nicht das erwartete Abbild: Seine SHA-256 ist ${d('actual')}, erwartet war ${d('expected')}.`,
    'Laden Sie das Abbild erneut oder berichtigen Sie die Prüfsumme.',
  ],
  SOURCE_UNREACHABLE: [
    (d) => `${d('url')} ist nicht zu erreichen: ${d('problem')}.`,
    'Prüfen Sie Adresse, Netzwerk und Server.',
  ],
  SOURCE_HTTP_STATUS: [
    (d) => `${d('url')} antwortete mit dem HTTP-Status ${d('status')} statt mit dem Abbild.`,
    'Prüfen Sie die Adresse; öffnen Sie sie in einem Browser.',
  ],
  SOURCE_DROPPED: [
    (d) =>
      `Die Übertragung von ${d('url')} brach bei Byte ${d('offset')} ab und ließ sich nicht fortsetzen: ${d('problem')}.`,
    'Versuchen Sie es erneut.',
  ],

  APPLIANCE_ENDED: [
    (d) => `Die Appliance endete von selbst; zuletzt sagte sie: ${d('said')}`,
    'Sie wird nach einer Weile erneut gestartet. Ihr Protokoll sagt mehr.',
  ],
  APPLIANCE_SILENT: [
    (d) => `Die Appliance wurde gestartet und antwortete ${d('seconds')} Sekunden lang nicht.`,
    'Sie wurde beendet und wird erneut gestartet. Ihr Protokoll sagt mehr.',
  ],
  INTERFACE_UNPLUGGED: [
    (d) => `${d('interface')} hat keine Verbindung: Das Kabel steckt nicht, oder die Gegenseite ist aus.`,
    'Stecken Sie das Kabel ein. Die Appliance macht von selbst weiter.',
  ],
  INTERFACE_DOWN: [
    (d) => `${d('interface')} ist ausgeschaltet.`,
    'Schalten Sie es in den Netzwerkeinstellungen ein. Die Appliance macht dann von selbst weiter.',
  ],
  IMAGE_FOLDER_UNUSABLE: [
    (d) => `In ${d('path')} können keine Abbilder liegen: ${d('problem')}.`,
    'Wählen Sie einen anderen Ordner.',
  ],
  PORTS_DENIED: [
    () => 'Die Regeln dieses Systems erlauben Ihnen nicht, die Ports für den Netzwerkstart zu öffnen.',
    `${admin} ${unstarted}`,
  ],
  PORTS_WRONG_PASSWORD: [
    () => 'Die Erlaubnis, die Ports zu öffnen, wurde nicht gegeben: Das Passwort war falsch.',
    `Versuchen Sie es mit dem Passwort eines Verwalters erneut. ${unstarted}`,
  ],
  PORTS_DISMISSED: [
    () => 'Die Frage nach der Erlaubnis wurde geschlossen.',
    `Beginnen Sie erneut und bestätigen Sie sie. ${unstarted}`,
  ],
  PORTS_NO_AGENT: [
    () => 'Niemand konnte nach der Erlaubnis gefragt werden: Diese Sitzung hat keinen Polkit-Agenten.',
    'Starten Sie einen (Desktops bringen einen mit; im Terminal: pkttyagent).',
  ],
  PORTS_UNAVAILABLE: [
    (d) => `Nach der Erlaubnis, die Ports zu öffnen, kann hier nicht gefragt werden: ${d('problem')}.`,
    'Installieren Sie Polkit (pkexec).',
  ],
};
