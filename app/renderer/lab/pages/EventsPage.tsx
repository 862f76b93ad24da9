import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'wouter';
import type { Event, EventFilter } from '../../../../shared/contract/event.ts';
import { SaveIcon } from '../../icons.tsx';
import { Button } from '../../parts/Button.tsx';
import { useAnswer } from '../answer.ts';
import { ask, Refusal } from '../api.ts';
import { SearchIcon } from '../icons.tsx';
import { listen } from '../live.ts';
import { Empty } from '../parts/Empty.tsx';
import { Page } from '../parts/Page.tsx';
import { Refused } from '../parts/Refused.tsx';
import { Time } from '../parts/Time.tsx';

const fields = ['kind', 'subject_kind', 'subject_id', 'actor', 'source_ip', 'failed'] as const;
type Field = (typeof fields)[number];
type Filter = Readonly<Partial<Record<Field, string>>>;
/** Events of one question. */
const page = 100;

/** Everything that happened, newest first, and what happens now. */
export function EventsPage() {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const filter = filterIn(search);
  const set = (changes: Readonly<Partial<Record<Field, string>>>) =>
    setSearch(
      new URLSearchParams(Object.entries({ ...filter, ...changes }).filter(([, value]) => value !== '')),
    );
  const { events, more, refusal, older } = useEvents(filter);
  return (
    <Page title={t('lab.events.title')} lead={<Chain />} actions={<Export filter={filter} />}>
      <Filters filter={filter} set={set} />
      {refusal === null ? null : <Refused refusal={refusal} />}
      {events?.length === 0 ? <Empty title={t('lab.events.none')} hint={t('lab.events.noneHint')} /> : null}
      {events !== null && events.length > 0 ? <Table events={events} set={set} /> : null}
      {more ? <Button onPress={older}>{t('lab.events.older')}</Button> : null}
    </Page>
  );
}

function filterIn(search: URLSearchParams): Filter {
  return Object.fromEntries(
    fields.flatMap((name) => {
      const value = search.get(name);
      return value === null || value === '' ? [] : [[name, value.slice(0, 200)]];
    }),
  );
}

/** True for events that the appliance would list for `filter`. */
function fits(event: Event, filter: Filter): boolean {
  return fields.every((name) => {
    const wanted = filter[name];
    if (wanted === undefined) return true;
    return name === 'failed' ? event.kind.endsWith('failed') : event[name] === wanted;
  });
}

function useEvents(filter: Filter) {
  const key = JSON.stringify(filter);
  const [events, setEvents] = useState<readonly Event[] | null>(null);
  const [more, setMore] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const run = useRef(0);
  const load = async (before: readonly Event[]) => {
    const mine = ++run.current;
    const last = before.at(-1)?.id;
    const query: EventFilter = {
      ...(JSON.parse(key) as Filter),
      limit: page,
      ...(last ? { before_id: last } : {}),
    };
    try {
      const { events: found } = await ask('GET /events', { query });
      if (mine !== run.current) return;
      setEvents([...before, ...found]);
      setMore(found.length === page);
      setRefusal(null);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (mine === run.current) setRefusal(error);
    }
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter is another list
  useEffect(() => {
    void load([]);
    const wanted = JSON.parse(key) as Filter;
    const ends = [
      listen('event', (event) => {
        if (!fits(event, wanted)) return;
        setEvents((all) => (all === null || all.some(({ id }) => id === event.id) ? all : [event, ...all]));
      }),
      listen('again', () => void load([])),
    ];
    return () => {
      for (const end of ends) end();
    };
  }, [key]);
  return { events, more, refusal, older: () => void load(events ?? []) };
}

function Chain() {
  const { t } = useTranslation();
  const { value } = useAnswer('audit', () => ask('GET /audit'));
  if (value === undefined) return null;
  const { state, events, broken_at, problem, last_hash } = value;
  if (state === 'broken')
    return (
      <p className="badge badge-bad">
        {t('lab.events.chainBroken', { id: broken_at ?? 0, problem: problem ?? '' })}
      </p>
    );
  return (
    <p className={state === 'intact' ? 'badge badge-done' : 'badge'} title={last_hash ?? undefined}>
      {state === 'intact' ? t('lab.events.chainIntact', { count: events }) : t('lab.events.chainUnchecked')}
    </p>
  );
}

interface FiltersProps {
  readonly filter: Filter;
  readonly set: (changes: Filter) => void;
}

function Filters({ filter, set }: FiltersProps) {
  const { t } = useTranslation();
  const names = [
    ['kind', t('lab.events.kind')],
    ['subject_id', t('lab.events.subject')],
    ['actor', t('lab.events.actor')],
    ['source_ip', t('lab.events.address')],
  ] as const;
  return (
    <search className="filters">
      {names.map(([name, label], index) => (
        <label key={name} className="search search-small">
          <span className="for-readers">{label}</span>
          <SearchIcon size={16} />
          <input
            type={index === 0 ? 'search' : 'text'}
            className="search-input"
            placeholder={label}
            value={filter[name] ?? ''}
            onChange={({ target }) => set({ [name]: target.value.trim() })}
          />
        </label>
      ))}
      <label className="tick">
        <input
          type="checkbox"
          checked={filter.failed !== undefined}
          onChange={({ target }) => set({ failed: target.checked ? '1' : '' })}
        />
        {t('lab.events.failedOnly')}
      </label>
    </search>
  );
}

function Table({ events, set }: { readonly events: readonly Event[]; readonly set: FiltersProps['set'] }) {
  const { t } = useTranslation();
  return (
    <div className="table-frame">
      <table className="table cards">
        <thead>
          <tr>
            <th scope="col">{t('lab.events.time')}</th>
            <th scope="col">{t('lab.events.what')}</th>
            <th scope="col">{t('lab.events.kind')}</th>
            <th scope="col">{t('lab.events.subject')}</th>
            <th scope="col">{t('lab.events.actor')}</th>
          </tr>
        </thead>
        <tbody>
          {events.map((event) => (
            <Row key={event.id} event={event} set={set} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ event, set }: { readonly event: Event; readonly set: FiltersProps['set'] }) {
  const { t } = useTranslation();
  const { id, ts, kind, subject_id, actor, source_ip, summary, details } = event;
  const bad = /failed$|stopped$/.test(kind);
  return (
    <tr className={bad ? 'bad-row' : ''}>
      <td data-name={t('lab.events.time')}>
        <Time at={ts} style="short" />
      </td>
      <td className="table-name">
        {details === null ? (
          <span lang="en">{summary}</span>
        ) : (
          <details>
            <summary lang="en">{summary}</summary>
            <pre>{JSON.stringify({ id, ...details }, null, 2)}</pre>
          </details>
        )}
      </td>
      <td data-name={t('lab.events.kind')}>
        <Pivot value={kind} onPick={() => set({ kind })} />
      </td>
      <td data-name={t('lab.events.subject')}>
        <Pivot value={subject_id} onPick={() => set({ subject_id: subject_id ?? '' })} />
      </td>
      <td data-name={t('lab.events.actor')}>
        <Pivot value={actor} onPick={() => set({ actor: actor ?? '' })} />
        {source_ip === null ? null : <Pivot value={source_ip} onPick={() => set({ source_ip })} />}
      </td>
    </tr>
  );
}

/** A value that can be clicked to see only what has it. */
function Pivot({ value, onPick }: { readonly value: string | null; readonly onPick: () => void }) {
  const { t } = useTranslation();
  if (value === null) return null;
  return (
    <button type="button" className="pivot" title={t('lab.events.filterBy', { value })} onClick={onPick}>
      {value}
    </button>
  );
}

/** All events that fit, as lines of JSON, oldest last. */
function Export({ filter }: { readonly filter: Filter }) {
  const { t } = useTranslation();
  const [count, setCount] = useState<number | null>(null);
  const run = async () => {
    const lines: string[] = [];
    let before: number | undefined;
    try {
      do {
        setCount(lines.length);
        const query = { ...filter, limit: 500, ...(before === undefined ? {} : { before_id: before }) };
        const { events } = await ask('GET /events', { query });
        lines.push(...events.map((event) => JSON.stringify(event)));
        before = events.length === 500 ? events.at(-1)?.id : undefined;
      } while (before !== undefined);
      save(`${lines.join('\n')}\n`, 'bty-events.jsonl');
    } finally {
      setCount(null);
    }
  };
  return (
    <Button icon={<SaveIcon size={16} />} isDisabled={count !== null} onPress={() => void run()}>
      {count === null ? t('lab.events.export') : t('lab.events.exporting', { count })}
    </Button>
  );
}

function save(text: string, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/x-ndjson' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
