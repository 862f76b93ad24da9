import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { EventList } from './EventList.tsx';
import { Card } from './parts/Page.tsx';

/** What a flash begins and ends with. */
const flashes = ['machine.flashed', 'machine.failed', 'machine.writing', 'machine.stopped'] as const;
/** Events that are shown of each list. */
const most = 30;

/** What happened to the machine: its flashes, and everything. */
export function MachineEvents({ mac }: { readonly mac: string }) {
  const { t } = useTranslation();
  const of = { subject_kind: 'machine', subject_id: mac, limit: most };
  const { value } = useAnswer(`events ${mac}`, () => ask('GET /events', { query: of }), ['event']);
  // A machine that boots often would push its flashes out of any one list.
  const { value: history } = useAnswer(`flashes ${mac}`, async () => {
    const answers = await Promise.all(flashes.map((kind) => ask('GET /events', { query: { ...of, kind } })));
    return answers
      .flatMap(({ events }) => events)
      .sort((one, other) => other.id - one.id)
      .slice(0, most);
  }, ['machine']);
  if (value === undefined || history === undefined) return null;
  const all = `/events?subject_id=${encodeURIComponent(mac)}`;
  return (
    <div className="columns">
      <Card title={t('lab.machine.history')} className="column-main">
        {history.length === 0 ? <p className="quiet">{t('lab.machine.noHistory')}</p> : null}
        <EventList events={history} />
      </Card>
      <Card
        title={t('lab.machine.events')}
        className="column-side"
        actions={
          <Link href={all} className="link">
            {t('lab.dashboard.allEvents')}
          </Link>
        }
      >
        {value.events.length === 0 ? <p className="quiet">{t('lab.machine.noEvents')}</p> : null}
        <EventList events={value.events} />
      </Card>
    </div>
  );
}
