import { useState } from 'react';
import { Link } from 'wouter';
import type { CatalogImage } from '../../../shared/contract/image.ts';
import { shownText } from '../../../shared/lab/shown.ts';
import { Button } from '../parts/Button.tsx';
import { useText } from '../parts/useText.ts';
import { askAgain, attempt } from './answer.ts';
import { ask } from './api.ts';
import { Asked } from './parts/Asked.tsx';
import { Confirm } from './parts/Confirm.tsx';

interface Props {
  readonly image: CatalogImage;
  readonly operates: boolean;
}

/** One image: what is known of it, who uses it, what can be done with it. */
export function ImageRow({ image, operates }: Props) {
  const { t, bytes } = useText();
  const { names, sha256, format, size_bytes, virtual_size_bytes, cached, problem, machines: used } = image;
  const [first = '', ...others] = names;
  return (
    <tr>
      <td className="table-name">
        <strong>{shownText(first)}</strong>{' '}
        <span className={cached ? 'badge badge-done' : 'badge'}>
          {cached ? t('lab.images.here') : t('lab.images.remote')}
        </span>
        {others.length === 0 ? null : <p className="quiet">{shownText(others.join(', '))}</p>}
        {image.sources.map(({ kind, location }) =>
          kind === 'local' ? null : (
            <p key={location} className="quiet">
              {shownText(location)}
            </p>
          ),
        )}
        {problem === null ? null : <p className="problem">{problem}</p>}
      </td>
      <td data-name={t('lab.images.size')}>
        {size_bytes === null ? t('common.unknownSize') : bytes(size_bytes)} {format}
        {virtual_size_bytes === null ? null : (
          <p className="quiet">{t('lab.images.unpacked', { size: bytes(virtual_size_bytes) })}</p>
        )}
      </td>
      <td data-name={t('lab.images.digest')} className="mono" title={sha256 ?? undefined}>
        {sha256 === null ? <span className="quiet">{t('lab.images.unread')}</span> : sha256.slice(0, 12)}
      </td>
      <td data-name={t('lab.images.used')}>
        {sha256 === null || used === 0 ? (
          <span className="quiet">{t('lab.common.none')}</span>
        ) : (
          <Link href={`/machines?image=${sha256}`} className="link">
            {t('lab.images.usedBy', { count: used })}
          </Link>
        )}
      </td>
      <td>{operates ? <Actions image={image} /> : null}</td>
    </tr>
  );
}

function Actions({ image }: { readonly image: CatalogImage }) {
  const { t } = useText();
  const [deleting, setDeleting] = useState(false);
  const name = image.names[0] ?? '';
  const local = image.sources.find(({ kind }) => kind === 'local');
  const url = image.sources.find(({ kind }) => kind === 'url');
  const act = (work: () => Promise<unknown>) =>
    void attempt(async () => {
      await work();
      askAgain('');
    });
  return (
    <div className="row-actions">
      {image.cached ? null : (
        <Button
          look="quiet"
          aria-label={`${t('lab.images.fetch')}: ${name}`}
          onPress={() => act(() => ask('POST /catalog/downloads', { body: { name } }))}
        >
          {t('lab.images.fetch')}
        </Button>
      )}
      {local === undefined ? null : (
        <Button
          look="quiet"
          aria-label={`${t('lab.images.verify')}: ${name}`}
          onPress={() => act(() => ask('POST /catalog/hashes', { body: { name } }))}
        >
          {t('lab.images.verify')}
        </Button>
      )}
      {url === undefined ? null : (
        <Asked
          title={t('lab.images.forgetTitle', { name })}
          text={t('lab.images.forgetText', { address: url.location })}
          act={t('lab.images.forget')}
          onAct={() =>
            attempt(async () => {
              await ask('DELETE /catalog/entries', { query: { src: url.location } });
              askAgain('');
            })
          }
        >
          {(open) => (
            <Button look="quiet" aria-label={`${t('lab.images.forget')}: ${name}`} onPress={open}>
              {t('lab.images.forget')}
            </Button>
          )}
        </Asked>
      )}
      {image.cached ? (
        <Button
          look="quiet"
          aria-label={`${t('lab.common.delete')}: ${name}`}
          onPress={() => setDeleting(true)}
        >
          {t('lab.common.delete')}
        </Button>
      ) : null}
      {deleting ? (
        <Deletion
          name={name}
          target={local === undefined ? (image.sha256 ?? name) : name}
          used={image.machines}
          onClose={() => setDeleting(false)}
        />
      ) : null}
    </div>
  );
}

interface DeletionProps {
  readonly name: string;
  /** What the appliance knows the file by. */
  readonly target: string;
  readonly used: number;
  readonly onClose: () => void;
}

function Deletion({ name, target, used, onClose }: DeletionProps) {
  const { t } = useText();
  const remove = () =>
    attempt(async () => {
      const force = used > 0 ? { query: { force: 1 } } : {};
      await ask('DELETE /images/{name}', { params: { name: target }, ...force });
      askAgain('');
    });
  return (
    <Confirm
      danger
      title={t('lab.images.deleteTitle', { name })}
      act={t('lab.common.delete')}
      {...(used > 0 ? { typed: name } : {})}
      onAct={remove}
      onClose={onClose}
    >
      <p>{t('lab.images.deleteText')}</p>
      {used > 0 ? <p className="problem">{t('lab.images.deleteUsed', { count: used })}</p> : null}
    </Confirm>
  );
}
