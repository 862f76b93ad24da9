import { useEffect, useState } from 'react';
import type { CatalogEntryShown } from '../../../shared/app/contract.ts';
import { nameIn } from '../../../shared/app/image.ts';
import type { FailureReport } from '../../../shared/failure.ts';
import { ask, Refusal } from '../client.ts';
import { ImageIcon, PlusIcon } from '../icons.tsx';
import { Bar } from '../parts/Bar.tsx';
import { Button } from '../parts/Button.tsx';
import { Choice } from '../parts/Choice.tsx';
import { Failed } from '../parts/Failed.tsx';
import { Note } from '../parts/Note.tsx';
import { Sheet } from '../parts/Sheet.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, choose, useStore } from '../store.ts';

type Listing =
  | { readonly kind: 'reading' }
  | { readonly kind: 'entries'; readonly entries: readonly CatalogEntryShown[] }
  | { readonly kind: 'failed'; readonly failure: FailureReport };

export function CatalogSheet() {
  const { t } = useText();
  const catalogs = useStore((state) => state.settings.catalogs);
  const [wanted, setWanted] = useState(catalogs[0] ?? null);
  const current = wanted !== null && catalogs.includes(wanted) ? wanted : (catalogs[0] ?? null);
  const close = () => useStore.setState({ sheet: null });
  return (
    <Sheet
      title={t('catalog.title')}
      onClose={close}
      actions={
        <>
          <Button
            icon={<PlusIcon size={16} />}
            onPress={() => void attempt(() => ask('settings.addCatalog', {}))}
          >
            {t('catalog.addFile')}
          </Button>
          <Button onPress={close}>{t('common.close')}</Button>
        </>
      }
    >
      {current === null ? (
        <p className="quiet">{t('catalog.none')}</p>
      ) : (
        <>
          {catalogs.length > 1 ? (
            <Choice
              label={t('catalog.choose')}
              value={current}
              options={catalogs.map((key) => ({ key, text: nameIn(key) }))}
              onChange={setWanted}
            />
          ) : null}
          <Entries key={current} location={current} />
        </>
      )}
    </Sheet>
  );
}

function Entries({ location }: { readonly location: string }) {
  const { t, bytes } = useText();
  const [listing, setListing] = useState<Listing>({ kind: 'reading' });
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
  if (listing.entries.length === 0) return <p className="quiet">{t('catalog.empty')}</p>;
  return (
    <ul className="entries">
      {listing.entries.map((entry) => (
        <li key={entry.name}>
          <button
            type="button"
            className="entry"
            onClick={() => void choose({ location: entry.location, name: entry.name, sha256: entry.sha256 })}
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
  );
}
