import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'wouter';
import type { Event, EventFilter } from '../../../../shared/contract/event.ts';
import { shownText } from '../../../../shared/lab/shown.ts';
import { SaveIcon } from '../../icons.tsx';
import { Button } from '../../parts/Button.tsx';
import { attempt, useAnswer } from '../answer.ts';
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
  const set = (changes: Filter, replace = false) =>
    setSearch(
      new URLSearchParams(Object.entries({ ...filter, ...changes }).filter(([, value]) => value !== '')),
      { replace },
    );
  const asked: Filter = Object.fromEntries(
    Object.entries(filter).flatMap(([name, value]) => (value.trim() === '' ? [] : [[name, value.trim()]])),
  );
  const { events, more, refusal, older, again } = useEvents(asked);
  for (const event of events ?? []) remember(event);
  return (
    <Page title={t('lab.events.title')} lead={<Chain />} actions={<Export filter={asked} />}>
      <Filters filter={filter} set={set} />
      {refusal === null ? null : <Refused refusal={refusal} again={again} />}
      {events?.length === 0 ? <Empty title={t('lab.events.none')} hint={t('lab.events.noneHint')} /> : null}
      {events !== null && events.length > 0 ? <Table events={events} set={set} /> : null}
      {more ? <Button onPress={older}>{t('lab.events.older')}</Button> : null}
    </Page>
  );
}

/** What was seen, to be offered where it can be asked for; it has to be typed whole. */
const seen = {
  kind: new Set<string>(),
  subject_id: new Set<string>(),
  actor: new Set<string>(),
  source_ip: new Set<string>(),
} as const;
/** Most of each that are offered. */
const mostOffered = 200;

function remember(event: Event): void {
  for (const [name, values] of Object.entries(seen)) {
    const value = event[name as keyof typeof seen];
    if (value !== null && values.size < mostOffered) values.add(value);
  }
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

/** Events that are shown at most before older ones are asked for; a page that is open for days stays small. */
const mostShown = 500;

function useEvents(filter: Filter) {
  const key = JSON.stringify(filter);
  const [events, setEvents] = useState<readonly Event[] | null>(null);
  const [more, setMore] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const run = useRef(0);
  /** Those that were told of while a question ran: its answer may not hold them. */
  const told = useRef<readonly Event[]>([]);
  const most = useRef(mostShown);
  const load = async (last: number | undefined) => {
    const mine = ++run.current;
    if (last === undefined) told.current = [];
    const query: EventFilter = {
      ...(JSON.parse(key) as Filter),
      limit: page,
      ...(last === undefined ? {} : { before_id: last }),
    };
    try {
      const { events: found } = await ask('GET /events', { query });
      if (mine !== run.current) return;
      setEvents((all) => joined(last === undefined ? told.current : (all ?? []), found));
      setMore(found.length === page);
      setRefusal(null);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (mine === run.current) setRefusal(error);
    }
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter is another list
  useEffect(() => {
    most.current = mostShown;
    setEvents(null);
    void load(undefined);
    const wanted = JSON.parse(key) as Filter;
    const ends = [
      listen('event', (event) => {
        if (!fits(event, wanted)) return;
        told.current = joined([event], told.current).slice(0, page);
        setEvents((all) => {
          if (all === null) return all;
          const next = joined([event], all);
          if (next.length <= most.current) return next;
          setMore(true);
          return next.slice(0, most.current);
        });
      }),
      listen('again', () => void load(undefined)),
    ];
    return () => {
      for (const end of ends) end();
    };
  }, [key]);
  const older = () => {
    most.current += page;
    void load(events?.at(-1)?.id);
  };
  return { events, more, refusal, older, again: () => void load(undefined) };
}

/** Both, newest first, each event once. */
function joined(some: readonly Event[], others: readonly Event[]): readonly Event[] {
  const known = new Set(some.map(({ id }) => id));
  return [...some, ...others.filter(({ id }) => !known.has(id))].sort((one, other) => other.id - one.id);
}

function Chain() {
  const { t } = useTranslation();
  const { value } = useAnswer('audit', () => ask('GET /audit'), ['event']);
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
  /** `replace`: as one step of the browser's history with what was typed before. */
  readonly set: (changes: Filter, replace?: boolean) => void;
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
            list={`events-${name}`}
            value={filter[name] ?? ''}
            onChange={({ target }) => set({ [name]: target.value }, true)}
          />
          <datalist id={`events-${name}`}>
            {[...seen[name]].sort().map((value) => (
              <option key={value} value={value} />
            ))}
          </datalist>
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
          <span lang="en">{shownText(summary)}</span>
        ) : (
          <details>
            <summary lang="en">{shownText(summary)}</summary>
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
      {shownText(value)}
    </button>
  );
}

/** All events that fit, as lines of JSON, newest first. */
function Export({ filter }: { readonly filter: Filter }) {
  const { t } = useTranslation();
  const [count, setCount] = useState<number | null>(null);
  const run = async () => {
    await attempt(async () => {
      const lines: string[] = [];
      let before: number | undefined;
      do {
        setCount(lines.length);
        const query = { ...filter, limit: 500, ...(before === undefined ? {} : { before_id: before }) };
        const { events } = await ask('GET /events', { query });
        lines.push(...events.map((event) => JSON.stringify(event)));
        before = events.length === 500 ? events.at(-1)?.id : undefined;
      } while (before !== undefined);
      save(lines.map((line) => `${line}\n`).join(''), 'bty-events.jsonl');
    });
    setCount(null);
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
