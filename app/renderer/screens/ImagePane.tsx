import type { AppImage, ImagePartition } from '../../../shared/app/image.ts';
import { ask } from '../client.ts';
import { ClockIcon, CrossIcon, FolderIcon, ImageIcon, LinkIcon, ListIcon } from '../icons.tsx';
import { Bar } from '../parts/Bar.tsx';
import { Button, IconButton } from '../parts/Button.tsx';
import { Note } from '../parts/Note.tsx';
import { useDragOver } from '../parts/useDragOver.ts';
import { useText } from '../parts/useText.ts';
import { attempt, browse, choose, forgetImage, useStore } from '../store.ts';

export function ImagePane() {
  const { t } = useText();
  const image = useStore((state) => state.image);
  return (
    <section className="pane" aria-labelledby="image-title">
      <div className="pane-head">
        <span className="step" aria-hidden="true">
          1
        </span>
        <h2 id="image-title" className="pane-title">
          {t('image.title')}
        </h2>
        {image.kind === 'image' ? (
          <Button look="quiet" onPress={() => void forgetImage()}>
            {t('common.change')}
          </Button>
        ) : null}
      </div>
      <div className="pane-body">
        {image.kind === 'none' && <NoImage />}
        {image.kind === 'looking' && <Looking name={image.name} />}
        {image.kind === 'image' && <ImageCard image={image.image} byLink={image.byLink} />}
      </div>
    </section>
  );
}

function NoImage() {
  const { t } = useText();
  const recent = useStore((state) => state.recent);
  const over = useDragOver();
  return (
    <>
      <div className={over ? 'drop drop-over' : 'drop'}>
        <span className="drop-icon">
          <ImageIcon size={40} />
        </span>
        <p className="drop-title">{over ? t('image.dropNow') : t('image.drop')}</p>
        <p className="drop-hint">{t('image.kinds')}</p>
        <div className="drop-actions">
          <Button look="primary" icon={<FolderIcon size={18} />} onPress={() => void browse()}>
            {t('image.browse')}
          </Button>
          <Button icon={<LinkIcon size={18} />} onPress={() => useStore.setState({ sheet: 'address' })}>
            {t('image.url')}
          </Button>
          <Button icon={<ListIcon size={18} />} onPress={() => useStore.setState({ sheet: 'catalog' })}>
            {t('image.catalog')}
          </Button>
        </div>
      </div>
      {recent.length > 0 ? (
        <>
          <h3 className="group-title">{t('image.recent')}</h3>
          <ul className="recent">
            {recent.slice(0, 5).map(({ location, name, sha256 }) => (
              <li key={location} className="recent-row">
                <button
                  type="button"
                  className="recent-open"
                  onClick={() =>
                    void choose({
                      location,
                      ...(sha256 === undefined ? {} : { name: name.slice(0, 300), sha256 }),
                    })
                  }
                >
                  <ClockIcon size={16} />
                  <span className="recent-name">{name}</span>
                  <span className="recent-place">{location}</span>
                </button>
                <IconButton
                  label={t('image.forget', { name })}
                  icon={<CrossIcon size={14} />}
                  onPress={() =>
                    void attempt(async () => {
                      useStore.setState({ recent: await ask('recent.forget', { location }) });
                    })
                  }
                />
              </li>
            ))}
          </ul>
        </>
      ) : null}
    </>
  );
}

function Looking({ name }: { readonly name: string }) {
  const { t } = useText();
  return (
    <div className="looking" role="status">
      <p>{t('image.looking', { name })}</p>
      <Bar label={t('image.looking', { name })} share={null} />
      <Button look="quiet" onPress={() => void forgetImage()}>
        {t('common.cancel')}
      </Button>
    </div>
  );
}

function ImageCard({ image, byLink }: { readonly image: AppImage; readonly byLink: boolean }) {
  const { t, bytes } = useText();
  const size = image.imageBytes;
  const least = image.atLeastBytes;
  const unpacked =
    size !== null
      ? bytes(size)
      : least !== null
        ? t('image.atLeast', { size: bytes(least) })
        : t('common.unknownSize');
  return (
    <article className="image-card" aria-label={image.name}>
      <div className="image-head">
        <span className="image-icon">
          <ImageIcon size={28} />
        </span>
        <div className="image-names">
          <p className="image-name">{image.name}</p>
          <p className="image-place">{image.location}</p>
        </div>
      </div>
      {byLink ? <Note kind="warn">{t('image.fromLink')}</Note> : null}
      {image.problem ? (
        <Note kind="bad">
          <strong>{t('image.broken')}.</strong> {image.problem.message} {image.problem.advice}
        </Note>
      ) : (
        <>
          <dl className="facts">
            <Fact name={t('image.unpacked')} value={unpacked} />
            <Fact
              name={t('image.stored')}
              value={image.storedBytes === null ? t('common.unknownSize') : bytes(image.storedBytes)}
            />
            <Fact
              name={t('image.format')}
              value={
                image.entry === null
                  ? (image.format ?? '')
                  : `${image.format}, ${t('image.entry', { entry: image.entry })}`
              }
            />
            <Fact
              name={t('image.checksum')}
              value={t(image.sha256 === null ? 'image.checksumNone' : 'image.checksumStated')}
            />
          </dl>
          <Contents image={image} />
          {image.warnings.map((warning) => (
            <Note key={warning} kind="warn">
              {t(`image.warnings.${warning}`)}
            </Note>
          ))}
        </>
      )}
      {image.notes.map((note) => (
        <Note key={note} kind="info">
          {note}
        </Note>
      ))}
    </article>
  );
}

function Fact({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div className="fact">
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** The partitions as pieces of a bar, each at least wide enough to be seen, and named below. */
function Contents({ image }: { readonly image: AppImage }) {
  const { t, bytes } = useText();
  if (image.scheme === null) return null;
  const { partitions, scheme, filesystem } = image;
  const title = scheme === 'none' ? t('image.noTable') : scheme.toUpperCase();
  const shown = partitions.slice(0, 8);
  return (
    <div className="contents">
      <p className="contents-title">
        {t('image.contents')}: {title}
        {partitions.length > 0 ? `, ${t('image.partitions', { count: partitions.length })}` : ''}
        {filesystem ? `, ${filesystem}` : ''}
      </p>
      {shown.length > 0 ? (
        <>
          <div className="parts" aria-hidden="true">
            {shown.map((partition, index) => (
              <span
                key={partition.number}
                className={`part part-${index % 4}`}
                style={{ flexGrow: Math.max(0.04, shareOfParts(partition, shown)) }}
              />
            ))}
          </div>
          <ul className="part-list">
            {shown.map((partition, index) => (
              <li key={partition.number} className="part-row">
                <span className={`part-key part-${index % 4}`} aria-hidden="true" />
                <span className="part-name">{partition.title || partition.number}</span>
                <span className="part-kind">{partition.filesystem ?? ''}</span>
                <span className="part-size">{partition.size === null ? '' : bytes(partition.size)}</span>
              </li>
            ))}
          </ul>
        </>
      ) : null}
    </div>
  );
}

function shareOfParts(partition: ImagePartition, all: readonly ImagePartition[]): number {
  const total = all.reduce((sum, { size }) => sum + (size ?? 0), 0);
  return total === 0 ? 1 : (partition.size ?? 0) / total;
}
