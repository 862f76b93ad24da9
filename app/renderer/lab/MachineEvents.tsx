import { useTranslation } from 'react-i18next';
import { useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { EventList } from './EventList.tsx';
import { Card } from './parts/Page.tsx';

const flashes = /^machine\.(flashed|failed|writing|stopped)$/;

/** What happened to the machine: its flashes, and everything. */
export function MachineEvents({ mac }: { readonly mac: string }) {
  const { t } = useTranslation();
  const { value } = useAnswer(
    `events ${mac}`,
    () => ask('GET /events', { query: { subject_kind: 'machine', subject_id: mac, limit: 100 } }),
    ['event'],
  );
  if (value === undefined) return null;
  const history = value.events.filter(({ kind }) => flashes.test(kind));
  return (
    <div className="columns">
      <Card title={t('lab.machine.history')} className="column-main">
        {history.length === 0 ? <p className="quiet">{t('lab.machine.noHistory')}</p> : null}
        <EventList events={history.slice(0, 30)} />
      </Card>
      <Card title={t('lab.machine.events')} className="column-side">
        {value.events.length === 0 ? <p className="quiet">{t('lab.machine.noEvents')}</p> : null}
        <EventList events={value.events.slice(0, 30)} />
      </Card>
    </div>
  );
}
