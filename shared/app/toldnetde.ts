import type { FailureCode } from '../failure.ts';

type Told = (name: string) => string;

/** What holds a port, where the appliance could not find out more. */
function holder(told: string): string {
  const system = /^the system \((.+)\)$/.exec(told)?.[1];
  if (system !== undefined) return `das System lässt es nicht zu (${system})`;
  return told === 'another program' ? 'ein anderes Programm hält ihn' : told;
}

/** A port as it is written: without a point between its digits. */
const port = (told: string) => told.replaceAll(/\D/g, '');

/** Failures of the network side and of the appliance's state, in German. */
export const networkDe = {
  PORT_TAKEN: [
    (d: Told) =>
      `Der ${d('protocol')}-Port ${port(d('port'))} an ${d('address')} ist belegt: ${holder(d('holder'))}.`,
    'Halten Sie jenes Programm an, oder wählen Sie einen anderen Anschluss oder Port.',
  ],
  PORT_NOT_ALLOWED: [
    (d: Told) =>
      `${d('protocol')} braucht den Port ${port(d('port'))} an ${d('interface')}, und dieses Programm darf keine Ports unter 1024 öffnen.`,
    'Starten Sie bty-web als root (es gibt die Rechte gleich ab), geben Sie ihm CAP_NET_BIND_SERVICE, oder lassen Sie systemd die Sockets öffnen; bty-web doctor sagt, woran es liegt.',
  ],
  NO_SUCH_INTERFACE: [
    (d: Told) => `Es gibt keinen Netzwerkanschluss „${d('interface')}“.`,
    'Wählen Sie einen, den es gibt.',
  ],
  NO_ADDRESS: [
    (d: Told) => `Der Anschluss ${d('interface')} hat keine IPv4-Adresse, von der aus er antworten könnte.`,
    'Geben Sie ihm erst eine feste Adresse, etwa 10.77.0.1/24.',
  ],
  FOREIGN_DHCP_SERVER: [
    (d: Told) =>
      `An ${d('interface')} sollen Adressen vergeben werden, aber das tut dort schon ${d('servers')}.`,
    'Antworten Sie neben ihm (Proxy), schalten Sie ihn ab, oder bestehen Sie darauf: Zwei Server, die in einem Netz Adressen vergeben, stören einander.',
  ],
  DHCP_SETTINGS_INVALID: [
    (d: Told) => `Die DHCP-Einstellungen von ${d('interface')} passen nicht: ${d('problem')}.`,
    'Berichtigen Sie die Einstellungen; es wurde nichts geändert.',
  ],
  RESERVATION_INVALID: [
    (d: Told) => `${d('address')} kann nicht für ${d('mac')} reserviert werden: ${d('problem')}.`,
    'Wählen Sie eine Adresse, die keine andere Maschine hat.',
  ],
  NO_SUCH_LEASE: [
    (d: Told) => `Es gibt keine Lease und keine Reservierung von ${d('what')}.`,
    'Sehen Sie in der Liste nach, was es gibt.',
  ],
  LEASES_NOT_SAVED: [
    (d: Told) =>
      `Leases müssen auf der Platte sein, bevor sie bestätigt werden, aber ${d('path')} lässt sich nicht schreiben: ${d('problem')}.`,
    'Schaffen Sie Platz auf jener Platte oder reparieren Sie sie: Alle paar Sekunden wird es wieder versucht, und bis dahin wird keine Adresse vergeben.',
  ],
  BACKUP_REFUSED: [
    (d: Told) => `Die Sicherung lässt sich nicht benutzen: ${d('problem')}.`,
    'Nehmen Sie eine andere Datei.',
  ],
  STATE_NEWER: [
    (d: Told) =>
      `Der Stand hat die Version ${d('found')}; dieses bty-web kennt Versionen bis ${d('known')}. Es blieb alles, wie es ist.`,
    'Nehmen Sie das neuere bty-web, das ihn schrieb, oder eine Sicherung von diesem.',
  ],
  RESTORE_NOT_OFFERED: [
    () => 'Die Sicherung, die wiederhergestellt werden sollte, ist nicht die, die wartet.',
    'Senden Sie sie noch einmal, sehen Sie nach, was sie enthält, und stellen Sie sie dann wieder her.',
  ],
} as const satisfies Readonly<Partial<Record<FailureCode, readonly [(d: Told) => string, string]>>>;
