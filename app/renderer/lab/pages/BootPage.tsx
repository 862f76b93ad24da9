import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { DhcpState } from '../../../../shared/contract/dhcp.ts';
import { CheckIcon, CrossIcon, PlusIcon, WarnIcon } from '../../icons.tsx';
import { Bar } from '../../parts/Bar.tsx';
import { Button, IconButton } from '../../parts/Button.tsx';
import { Field } from '../../parts/Field.tsx';
import { useText } from '../../parts/useText.ts';
import { Addresses } from '../Addresses.tsx';
import { askAgain, attempt, useAnswer } from '../answer.ts';
import { ask } from '../api.ts';
import { ExplainCard } from '../Explain.tsx';
import { NetworkIcon, UploadIcon } from '../icons.tsx';
import { NetworkSheet } from '../NetworkSheet.tsx';
import { Confirm } from '../parts/Confirm.tsx';
import { Empty } from '../parts/Empty.tsx';
import { Card, Facts, Page } from '../parts/Page.tsx';
import { Time } from '../parts/Time.tsx';
import { useLab } from '../store.ts';
import { TftpCard } from '../TftpCard.tsx';
import { Uploads } from '../Uploads.tsx';
import { upload, useShelf } from '../uploads.ts';
import { toldHere } from '../words.ts';

/** What machines meet when they boot: DHCP, boot programs, the live system. */
export function BootPage() {
  const { t } = useTranslation();
  return (
    <Page title={t('lab.boot.title')}>
      <Interfaces />
      <TftpCard />
      <LiveCard />
      <Programs />
      <ExplainCard />
      <Addresses />
    </Page>
  );
}

function Interfaces() {
  const { t } = useTranslation();
  const admin = useLab(({ scope }) => scope === 'admin');
  const { value: states } = useAnswer('dhcp', () => ask('GET /dhcp'), ['notice', 'lease']);
  const [changed, setChanged] = useState<string | null | undefined>(undefined);
  const served = states?.filter(({ mode }) => mode !== 'off') ?? [];
  return (
    <Card
      title={t('lab.boot.interfaces')}
      actions={
        admin ? (
          <Button icon={<PlusIcon size={16} />} onPress={() => setChanged(null)}>
            {t('lab.boot.addInterface')}
          </Button>
        ) : null
      }
    >
      {states !== undefined && served.length === 0 ? (
        <Empty
          icon={<NetworkIcon size={32} />}
          title={t('lab.boot.noInterfaces')}
          hint={t('lab.boot.noInterfacesHint')}
        />
      ) : null}
      <ul className="parts">
        {served.map((state) => (
          <Interface key={state.interface} state={state} change={admin ? setChanged : null} />
        ))}
      </ul>
      {changed === undefined ? null : <NetworkSheet name={changed} onClose={() => setChanged(undefined)} />}
    </Card>
  );
}

interface InterfaceProps {
  readonly state: DhcpState;
  readonly change: ((name: string) => void) | null;
}

function Interface({ state, change }: InterfaceProps) {
  const { t, i18n } = useTranslation();
  const { problem, foreign, code, details } = state;
  const told =
    problem === null
      ? null
      : toldHere(i18n.language, { code, message: problem, advice: state.advice ?? '', details });
  const name = state.interface;
  return (
    <li className="interface">
      <div className="interface-top">
        {problem === null ? <CheckIcon size={18} /> : <WarnIcon size={18} />}
        <strong>{name}</strong>
        <span>{t(`lab.network.modes.${state.mode}`)}</span>
        <span className={problem === null ? 'badge badge-done' : 'badge badge-bad'}>
          {problem === null ? t('lab.boot.serves') : t('lab.boot.servesNot')}
        </span>
        <span className="grow" />
        {change === null ? null : (
          <Button onPress={() => change(name)}>{t('lab.boot.change', { name })}</Button>
        )}
      </div>
      {told === null ? null : (
        <p className="problem">
          {told.message} {told.advice}
        </p>
      )}
      <Facts
        facts={[
          { name: t('lab.boot.addresses'), value: state.addresses.join(', ') || t('lab.common.none') },
          { name: t('lab.boot.received'), value: state.received },
          { name: t('lab.boot.answered'), value: state.answered },
          { name: t('lab.boot.malformed'), value: state.malformed },
          { name: t('lab.boot.shed'), value: state.shed },
          {
            name: t('lab.boot.foreign'),
            value:
              foreign.length === 0 ? (
                t('lab.common.none')
              ) : (
                <ul>
                  {foreign.map(({ address, at }) => (
                    <li key={address}>
                      {address} <Time at={at} style="short" />
                    </li>
                  ))}
                </ul>
              ),
          },
        ]}
      />
    </li>
  );
}

/** `title`: what it is called as a step of the set-up. */
export function LiveCard({ title }: { readonly title?: string }) {
  const { t, bytes } = useText();
  const operates = useLab(({ scope }) => scope !== 'read');
  const { value } = useAnswer('live', () => ask('GET /live-systems'), ['job', 'event']);
  const [asking, setAsking] = useState(false);
  return (
    <Card
      title={title ?? t('lab.boot.live')}
      actions={operates ? <LiveActions ask={() => setAsking(true)} /> : null}
    >
      <p className="quiet">
        {title === undefined ? null : `${t('lab.setup.liveHint')} `}
        {t('lab.boot.liveHint')}
      </p>
      <BootJobs />
      {value?.map(({ architecture, installed, files }) => (
        <div key={architecture}>
          <p className="interface-top">
            <strong>{architecture}</strong>
            <span className={installed ? 'badge badge-done' : 'badge'}>
              {installed ? t('lab.boot.liveInstalled') : t('lab.boot.liveMissing')}
            </span>
          </p>
          {installed ? (
            <ul className="files">
              {files
                .filter(({ size_bytes }) => size_bytes !== null)
                .map(({ name, size_bytes, modified_at }) => (
                  <li key={name}>
                    <span className="mono">{name}</span>
                    <span className="quiet">{bytes(size_bytes ?? 0)}</span>
                    <Time at={modified_at} style="short" />
                  </li>
                ))}
            </ul>
          ) : null}
        </div>
      ))}
      {asking ? <FetchRelease onClose={() => setAsking(false)} /> : null}
    </Card>
  );
}

function LiveActions({ ask: open }: { readonly ask: () => void }) {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  return (
    <div className="form-actions">
      <input
        ref={input}
        type="file"
        multiple
        hidden
        onChange={({ target }) => {
          for (const file of target.files ?? []) upload(file, 'boot');
          target.value = '';
        }}
      />
      <Button onPress={open}>{t('lab.boot.fetchRelease')}</Button>
      <Button icon={<UploadIcon size={16} />} onPress={() => input.current?.click()}>
        {t('lab.boot.uploadFile')}
      </Button>
    </div>
  );
}

/** Releases that are fetched, and files that are uploaded. */
function BootJobs() {
  const { t } = useTranslation();
  const { value } = useAnswer('jobs releases', () => ask('GET /boot/releases'), ['job']);
  const uploads = useShelf('boot');
  const running = (value?.fetches ?? []).filter(({ status }) => status === 'queued' || status === 'running');
  const failed = (value?.fetches ?? []).filter(({ status }) => status === 'failed').slice(-1);
  return (
    <>
      {running.map(({ tag, bytes_done, bytes_total }) => (
        <div key={tag} className="part">
          <div className="part-words">
            <p>{t('lab.boot.fetching', { tag })}</p>
            <Bar
              label={t('lab.boot.fetching', { tag })}
              share={bytes_total ? bytes_done / bytes_total : null}
            />
          </div>
          <IconButton
            label={t('lab.images.cancel', { name: tag })}
            icon={<CrossIcon size={16} />}
            onPress={() => void attempt(() => ask('DELETE /boot/releases/{tag}', { params: { tag } }))}
          />
        </div>
      ))}
      {running.length > 0
        ? null
        : failed.map(({ tag, error }) => (
            <p key={tag} className="problem">
              {t('lab.images.failed', { name: tag, error: error ?? '' })}
            </p>
          ))}
      <Uploads uploads={uploads} />
    </>
  );
}

function FetchRelease({ onClose }: { readonly onClose: () => void }) {
  const { t } = useTranslation();
  const [tag, setTag] = useState('latest');
  const [source, setSource] = useState('');
  const fetchIt = () =>
    attempt(async () => {
      const body = { tag: tag.trim(), ...(source.trim() === '' ? {} : { source: source.trim() }) };
      await ask('POST /boot/releases', { body });
      askAgain('jobs');
    });
  return (
    <Confirm
      title={t('lab.boot.fetchRelease').replace('…', '')}
      act={t('lab.boot.fetch')}
      isReady={/^[A-Za-z0-9._-]+$/.test(tag.trim())}
      onAct={fetchIt}
      onClose={onClose}
    >
      <Field label={t('lab.boot.release')} value={tag} onChange={setTag} />
      <Field
        label={t('lab.boot.source')}
        placeholder={t('lab.boot.sourceHint')}
        value={source}
        onChange={setSource}
      />
    </Confirm>
  );
}

function Programs() {
  const { t, bytes } = useText();
  const { value } = useAnswer('programs', () => ask('GET /boot-programs'));
  return (
    <Card title={t('lab.boot.programs')}>
      <div className="table-frame">
        <table className="table cards">
          <thead>
            <tr>
              <th scope="col">{t('lab.common.name')}</th>
              <th scope="col">{t('lab.boot.platform')}</th>
              <th scope="col">{t('lab.boot.path')}</th>
            </tr>
          </thead>
          <tbody>
            {value?.map(({ name, platform, purpose, path, size_bytes, advice }) => (
              <tr key={name}>
                <td className="mono">{name}</td>
                <td data-name={t('lab.boot.platform')}>
                  {platform}
                  <p className="quiet" lang="en">
                    {purpose}
                  </p>
                </td>
                <td data-name={t('lab.boot.path')} className="table-name">
                  {path === null ? (
                    <>
                      <span className="badge">{t('lab.boot.missing')}</span>{' '}
                      <span className="quiet" lang="en">
                        {advice}
                      </span>
                    </>
                  ) : (
                    <>
                      <span className="mono">{path}</span>{' '}
                      <span className="quiet">{bytes(size_bytes ?? 0)}</span>
                    </>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
