import { useEffect, useRef, useState } from 'react';
import type { CatalogEntryShown } from '../../../shared/app/contract.ts';
import { nameIn } from '../../../shared/app/image.ts';
import type { FailureReport } from '../../../shared/failure.ts';
import { ask, Refusal } from '../client.ts';
import { ImageIcon, PlusIcon } from '../icons.tsx';
import { Bar } from '../parts/Bar.tsx';
import { Button } from '../parts/Button.tsx';
import { Choice } from '../parts/Choice.tsx';
import { Failed } from '../parts/Failed.tsx';
import { Field } from '../parts/Field.tsx';
import { Note } from '../parts/Note.tsx';
import { Sheet } from '../parts/Sheet.tsx';
import { useText } from '../parts/useText.ts';
import { choose, useStore } from '../store.ts';
import { AddCatalog } from './AddCatalog.tsx';

type Listing =
  | { readonly kind: 'reading' }
  | { readonly kind: 'entries'; readonly entries: readonly CatalogEntryShown[] }
  | { readonly kind: 'failed'; readonly failure: FailureReport };

export function CatalogSheet() {
  const { t } = useText();
  const catalogs = useStore((state) => state.settings.catalogs);
  const [wanted, setWanted] = useState(catalogs[0] ?? null);
  const [adding, setAdding] = useState(catalogs.length === 0);
  const current = wanted !== null && catalogs.includes(wanted) ? wanted : (catalogs[0] ?? null);
  const count = useRef(catalogs.length);
  // One that was added is the one to look into.
  useEffect(() => {
    if (catalogs.length > count.current) {
      setWanted(catalogs.at(-1) ?? null);
      setAdding(false);
    }
    count.current = catalogs.length;
  }, [catalogs]);
  const close = () => useStore.setState({ sheet: null });
  return (
    <Sheet
      title={t('catalog.title')}
      onClose={close}
      actions={
        <>
          {adding ? null : (
            <Button icon={<PlusIcon size={16} />} onPress={() => setAdding(true)}>
              {t('catalog.addOne')}
            </Button>
          )}
          <Button onPress={close}>{t('common.close')}</Button>
        </>
      }
    >
      {current === null ? <p className="quiet">{t('catalog.none')}</p> : null}
      {adding || current === null ? (
        <AddCatalog autoFocus={current !== null} />
      ) : (
        <>
          {catalogs.length > 1 ? (
            <Choice
              label={t('catalog.choose')}
              value={current}
              options={catalogs.map((key) => ({ key, text: titleOf(key, catalogs) }))}
              onChange={setWanted}
            />
          ) : null}
          <Entries key={current} location={current} />
        </>
      )}
    </Sheet>
  );
}

/** Its file name, and where it lies when another one is called the same. */
function titleOf(catalog: string, all: readonly string[]): string {
  const name = nameIn(catalog);
  return all.some((other) => other !== catalog && nameIn(other) === name) ? catalog : name;
}

/** More than these are looked through faster by a word. */
const few = 8;
/** Most that are drawn at once. */
const most = 200;

function Entries({ location }: { readonly location: string }) {
  const { t, bytes } = useText();
  const [listing, setListing] = useState<Listing>({ kind: 'reading' });
  const [word, setWord] = useState('');
  useEffect(() => {
    let current = true;
    ask('catalog.list', { location }).then(
      (entries) => current && setListing({ kind: 'entries', entries }),
      (error: unknown) =>
        current && error instanceof Refusal && setListing({ kind: 'failed', failure: error.failure }),
    );
    return () => {
      current = false;
    };
  }, [location]);
  if (listing.kind === 'reading') return <Bar label={t('common.loading')} share={null} />;
  if (listing.kind === 'failed') {
    return (
      <Note kind="bad">
        <Failed failure={listing.failure} />
      </Note>
    );
  }
  const { entries } = listing;
  if (entries.length === 0) return <p className="quiet">{t('catalog.empty')}</p>;
  const found = entries.filter((entry) => holds(entry, word));
  return (
    <>
      {entries.length > few ? <Field label={t('catalog.filter')} value={word} onChange={setWord} /> : null}
      <p className="for-readers" role="status">
        {t('catalog.found', { count: found.length })}
      </p>
      <ul className="entries">
        {found.slice(0, most).map((entry) => (
          <li key={`${entry.location} ${entry.name}`}>
            <button
              type="button"
              className="entry"
              onClick={() =>
                void choose({ location: entry.location, name: entry.name, sha256: entry.sha256 })
              }
            >
              <ImageIcon size={20} />
              <span className="entry-words">
                <span className="entry-name">{entry.name}</span>
                <span className="entry-hint">{entry.description ?? entry.location}</span>
              </span>
              <span className="entry-size">{entry.sizeBytes === null ? '' : bytes(entry.sizeBytes)}</span>
            </button>
          </li>
        ))}
      </ul>
      {found.length === 0 ? <p className="quiet">{t('catalog.nothing')}</p> : null}
      {found.length > most ? (
        <p className="quiet">{t('catalog.more', { count: found.length - most })}</p>
      ) : null}
    </>
  );
}

/** Whether each word of `words` stands in the entry. */
function holds({ name, description, location }: CatalogEntryShown, words: string): boolean {
  const text = `${name} ${description ?? ''} ${location}`.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
