import { type DragEvent, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { CatalogImage, CatalogImages } from '../../../../shared/contract/image.ts';
import { ImageIcon, LinkIcon, ListIcon } from '../../icons.tsx';
import { Button } from '../../parts/Button.tsx';
import { Note } from '../../parts/Note.tsx';
import { useText } from '../../parts/useText.ts';
import { useAnswer } from '../answer.ts';
import { ask } from '../api.ts';
import { ImageRow } from '../ImageRow.tsx';
import { AddImage, ImportCatalog } from '../ImageSheets.tsx';
import { UploadIcon } from '../icons.tsx';
import { Jobs } from '../Jobs.tsx';
import { Empty } from '../parts/Empty.tsx';
import { Page } from '../parts/Page.tsx';
import { Refused } from '../parts/Refused.tsx';
import { useLab } from '../store.ts';
import { upload } from '../uploads.ts';

type SheetName = 'url' | 'catalog';

export function ImagesPage() {
  const { t } = useTranslation();
  const { value, refusal, again } = useAnswer('catalog', () => ask('GET /catalog/images'), ['images', 'job']);
  const operates = useLab(({ scope }) => scope !== 'read');
  const [sheet, setSheet] = useState<SheetName | null>(null);
  const drop = useDrop(operates);
  const close = () => setSheet(null);
  return (
    <div className={drop.over ? 'dropping' : ''} {...drop.handlers} data-hint={t('lab.images.drop')}>
      <Page
        title={t('lab.images.title')}
        lead={value === undefined ? null : <Room catalog={value} />}
        actions={operates ? <Actions open={setSheet} /> : null}
      >
        {refusal === null ? null : <Refused refusal={refusal} again={again} />}
        {value?.manifest_problem ? (
          <Note kind="bad">
            {t('lab.images.manifestProblem')} {value.manifest_problem}
          </Note>
        ) : null}
        <Jobs />
        {value?.images.length === 0 ? (
          <Empty
            icon={<ImageIcon size={40} />}
            title={t('lab.images.empty')}
            hint={t('lab.images.emptyHint')}
          />
        ) : null}
        {value !== undefined && value.images.length > 0 ? (
          <List images={value.images} operates={operates} />
        ) : null}
      </Page>
      {sheet === 'url' ? <AddImage onClose={close} /> : null}
      {sheet === 'catalog' ? <ImportCatalog onClose={close} /> : null}
    </div>
  );
}

function Room({ catalog }: { readonly catalog: CatalogImages }) {
  const { t, bytes } = useText();
  return (
    <p className="quiet">
      {t('lab.images.room', { used: bytes(catalog.used_bytes), free: bytes(catalog.free_bytes) })}
    </p>
  );
}

function Actions({ open }: { readonly open: (sheet: SheetName) => void }) {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        onChange={({ target }) => {
          for (const file of target.files ?? []) upload(file, 'images');
          target.value = '';
        }}
      />
      <Button look="primary" icon={<UploadIcon size={16} />} onPress={() => input.current?.click()}>
        {t('lab.images.upload')}
      </Button>
      <Button icon={<LinkIcon size={16} />} onPress={() => open('url')}>
        {t('lab.images.addUrl')}
      </Button>
      <Button icon={<ListIcon size={16} />} onPress={() => open('catalog')}>
        {t('lab.images.import')}
      </Button>
    </>
  );
}

function List({
  images,
  operates,
}: {
  readonly images: readonly CatalogImage[];
  readonly operates: boolean;
}) {
  const { t } = useTranslation();
  return (
    <div className="table-frame">
      <table className="table cards">
        <thead>
          <tr>
            <th scope="col">{t('lab.images.name')}</th>
            <th scope="col">{t('lab.images.size')}</th>
            <th scope="col">{t('lab.images.digest')}</th>
            <th scope="col">{t('lab.images.used')}</th>
            <th scope="col">{t('lab.images.actions')}</th>
          </tr>
        </thead>
        <tbody>
          {images.map((image) => (
            <ImageRow
              key={`${image.sha256 ?? ''} ${image.names.join(' ')} ${image.sources[0]?.location ?? ''}`}
              image={image}
              operates={operates}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Files that are dropped anywhere on the page are uploaded. */
function useDrop(enabled: boolean) {
  const [over, setOver] = useState(false);
  const holdsFiles = (event: DragEvent) => enabled && event.dataTransfer.types.includes('Files');
  return {
    over,
    handlers: {
      onDragOver: (event: DragEvent) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        setOver(true);
      },
      onDragLeave: (event: DragEvent) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
      },
      onDrop: (event: DragEvent) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        setOver(false);
        for (const file of event.dataTransfer.files) upload(file, 'images');
      },
    },
  };
}
