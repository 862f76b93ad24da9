import type { Event } from '../../../shared/contract/event.ts';
import { Time } from './parts/Time.tsx';

/** Events in few words, newest first. */
export function EventList({ events }: { readonly events: readonly Event[] }) {
  return (
    <ul className="events">
      {events.map(({ id, ts, kind, summary }) => (
        <li key={id} className={/failed$|stopped$/.test(kind) ? 'event event-bad' : 'event'}>
          <Time at={ts} style="short" />
          <span className="event-words">{summary}</span>
        </li>
      ))}
    </ul>
  );
}
