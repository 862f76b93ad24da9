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
import { Confirm } from '../parts/Confirm.tsx';
import { Empty } from '../parts/Empty.tsx';
import { Page } from '../parts/Page.tsx';
import { Refused } from '../parts/Refused.tsx';
import { useLab } from '../store.ts';
import { upload } from '../uploads.ts';

/** Rows that are shown at first, and with each "more". */
const page = 100;

type SheetName = 'url' | 'catalog';

export function ImagesPage() {
  const { t } = useTranslation();
  const { value, refusal, again } = useAnswer('catalog', () => ask('GET /catalog/images'), [
    'images',
    'job',
    'machine',
  ]);
  const operates = useLab(({ scope }) => scope !== 'read');
  const [sheet, setSheet] = useState<SheetName | null>(null);
  const [replaced, setReplaced] = useState<readonly File[]>([]);
  const close = () => setSheet(null);
  /** What has a name that is taken is asked about first; the rest begins at once. */
  const offer = (files: readonly File[]) => {
    const taken = files.filter(({ name }) => imageAt(value, name) !== undefined);
    for (const file of files) if (!taken.includes(file)) upload(file, 'images');
    setReplaced(taken);
  };
  const drop = useDrop(operates, offer);
  const [first] = replaced;
  return (
    <div className={drop.over ? 'dropping' : ''} {...drop.handlers} data-hint={t('lab.images.drop')}>
      <Page
        title={t('lab.images.title')}
        lead={value === undefined ? null : <Room catalog={value} />}
        actions={operates ? <Actions open={setSheet} offer={offer} /> : null}
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
      {first === undefined ? null : (
        <Replace
          key={first.name}
          file={first}
          used={imageAt(value, first.name)?.machines ?? 0}
          onClose={() => setReplaced(replaced.slice(1))}
        />
      )}
    </div>
  );
}

/** The image whose file on the appliance has that name. */
function imageAt(catalog: CatalogImages | undefined, name: string): CatalogImage | undefined {
  return catalog?.images.find(
    ({ names, sources }) => names.includes(name) && sources.some(({ kind }) => kind === 'local'),
  );
}

interface ReplaceProps {
  readonly file: File;
  /** Machines that are bound to the one that goes. */
  readonly used: number;
  readonly onClose: () => void;
}

/** Asks before an image is overwritten by another of its name. */
function Replace({ file, used, onClose }: ReplaceProps) {
  const { t } = useText();
  const { name } = file;
  return (
    <Confirm
      danger
      title={t('lab.images.replaceTitle', { name })}
      act={t('lab.images.replace')}
      {...(used > 0 ? { typed: name } : {})}
      onAct={async () => {
        upload(file, 'images');
        return true;
      }}
      onClose={onClose}
    >
      <p>{t('lab.images.replaceText')}</p>
      {used > 0 ? <p className="problem">{t('lab.images.deleteUsed', { count: used })}</p> : null}
    </Confirm>
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

interface ActionsProps {
  readonly open: (sheet: SheetName) => void;
  readonly offer: (files: readonly File[]) => void;
}

function Actions({ open, offer }: ActionsProps) {
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
          offer([...(target.files ?? [])]);
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
  const [shown, setShown] = useState(page);
  return (
    <>
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
            {images.slice(0, shown).map((image) => (
              <ImageRow
                key={`${image.sha256 ?? ''} ${image.names.join(' ')} ${image.sources[0]?.location ?? ''}`}
                image={image}
                operates={operates}
              />
            ))}
          </tbody>
        </table>
      </div>
      {images.length > shown ? (
        <div>
          <Button onPress={() => setShown(shown + page)}>{t('lab.common.more')}</Button>
        </div>
      ) : null}
    </>
  );
}

/** Files that are dropped anywhere on the page are uploaded. */
function useDrop(enabled: boolean, offer: (files: readonly File[]) => void) {
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
        offer([...event.dataTransfer.files]);
      },
    },
  };
}
