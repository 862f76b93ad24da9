import type { Event } from '../../../shared/contract/event.ts';
import { shownText } from '../../../shared/lab/shown.ts';
import { Time } from './parts/Time.tsx';

/** Events in few words, newest first. Whatever the appliance says of itself is English, and marked so for readers. */
export function EventList({ events }: { readonly events: readonly Event[] }) {
  return (
    <ul className="events">
      {events.map(({ id, ts, kind, summary }) => (
        <li key={id} className={/failed$|stopped$/.test(kind) ? 'event event-bad' : 'event'}>
          <Time at={ts} style="short" />
          <span className="event-words" lang="en">
            {shownText(summary)}
          </span>
        </li>
      ))}
    </ul>
  );
}
