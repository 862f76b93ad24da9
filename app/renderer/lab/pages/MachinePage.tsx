import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useLocation } from 'wouter';
import type { Machine } from '../../../../shared/contract/machine.ts';
import { Bar } from '../../parts/Bar.tsx';
import { Button } from '../../parts/Button.tsx';
import { Note } from '../../parts/Note.tsx';
import { useText } from '../../parts/useText.ts';
import { attempt, putAnswer, useAnswer } from '../answer.ts';
import { ask } from '../api.ts';
import { BindingForm, draftName } from '../BindingForm.tsx';
import { BootStoryCard } from '../BootStory.tsx';
import { keepDraft } from '../drafts.ts';
import { InventoryCard } from '../Inventory.tsx';
import { BackIcon, MachineIcon, PrintIcon, TrashIcon } from '../icons.tsx';
import { listen } from '../live.ts';
import { MachineEvents } from '../MachineEvents.tsx';
import { MachineLabel } from '../MachineLabel.tsx';
import { Confirm } from '../parts/Confirm.tsx';
import { Empty } from '../parts/Empty.tsx';
import { Card, Facts, Page } from '../parts/Page.tsx';
import { Phase } from '../parts/Phase.tsx';
import { Refused } from '../parts/Refused.tsx';
import { Time } from '../parts/Time.tsx';
import { useLab } from '../store.ts';
import { TaskCard } from '../TaskCard.tsx';

/** One machine: how it boots and why not, what it is made of, what it is to boot. */
export function MachinePage({ mac }: { readonly mac: string }) {
  const { t } = useTranslation();
  const key = `machine ${mac}`;
  const {
    value: machine,
    refusal,
    again,
  } = useAnswer(key, () => ask('GET /machines/{mac}', { params: { mac } }));
  useMachineNews(mac, key, again);
  if (machine === undefined || refusal?.status === 404) {
    return (
      <Page title={t('lab.machine.title', { mac })} lead={<BackLink />}>
        {refusal?.status === 404 ? (
          <Empty
            icon={<MachineIcon size={40} />}
            title={t('lab.machine.gone', { mac })}
            hint={t('lab.machine.goneHint')}
          />
        ) : null}
        {refusal !== null && refusal.status !== 404 ? <Refused refusal={refusal} again={again} /> : null}
      </Page>
    );
  }
  return <Whole machine={machine} />;
}

function BackLink() {
  const { t } = useTranslation();
  return (
    <Link href="/machines" className="link back">
      <BackIcon size={16} />
      {t('lab.nav.machines')}
    </Link>
  );
}

/** The machine is told whole with each of its changes; its deletion is asked about. */
function useMachineNews(mac: string, key: string, again: () => void): void {
  useEffect(
    () =>
      listen('machine', (news) => {
        if (news.mac !== mac) return;
        if ('deleted' in news) again();
        else putAnswer(key, news);
      }),
    [mac, key, again],
  );
}

function Whole({ machine }: { readonly machine: Machine }) {
  const { t } = useTranslation();
  const [printing, setPrinting] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const operates = useLab(({ scope }) => scope !== 'read');
  const { mac, hostname } = machine;
  return (
    <Page
      title={hostname ?? mac}
      lead={<BackLink />}
      actions={
        <>
          <Button icon={<PrintIcon size={16} />} onPress={() => setPrinting(true)}>
            {t('lab.machine.label')}
          </Button>
          {operates ? (
            <Button look="danger" icon={<TrashIcon size={16} />} onPress={() => setDeleting(true)}>
              {t('lab.common.delete')}
            </Button>
          ) : null}
        </>
      }
    >
      <Status machine={machine} />
      <div className="columns">
        <div className="column-main">
          <BootStoryCard mac={mac} />
          <BindingForm key={mac} machine={machine} />
          <TaskCard machine={machine} />
        </div>
        <div className="column-side">
          <Glance machine={machine} />
          <InventoryCard machine={machine} />
        </div>
      </div>
      <MachineEvents mac={mac} />
      <details className="sheet raw">
        <summary>{t('lab.machine.raw')}</summary>
        <pre>{JSON.stringify(machine, null, 2)}</pre>
      </details>
      {printing ? <MachineLabel machine={machine} onClose={() => setPrinting(false)} /> : null}
      {deleting ? <Deletion mac={mac} onClose={() => setDeleting(false)} /> : null}
    </Page>
  );
}

function Deletion({ mac, onClose }: { readonly mac: string; readonly onClose: () => void }) {
  const { t } = useTranslation();
  const [, go] = useLocation();
  const remove = () =>
    attempt(async () => {
      await ask('DELETE /machines/{mac}', { params: { mac } });
      keepDraft(draftName(mac), undefined);
      go('/machines');
    });
  return (
    <Confirm
      danger
      title={t('lab.machine.deleteTitle', { mac })}
      act={t('lab.common.delete')}
      onAct={remove}
      onClose={onClose}
    >
      <p>{t('lab.machine.deleteText')}</p>
    </Confirm>
  );
}

/** Where it is now: phase, progress, failure. */
function Status({ machine: { state } }: { readonly machine: Machine }) {
  const { t, bytes } = useText();
  const { bytes: done, total, rate, failure } = state;
  return (
    <section className="status" aria-label={t('lab.common.state')}>
      <p className="status-line">
        <Phase phase={state.phase} /> <span className="quiet">{t('lab.machine.since')}</span>{' '}
        <Time at={state.since} />
      </p>
      {done === null ? null : (
        <>
          <Bar
            label={t(`lab.phases.${state.phase}`)}
            share={total === null || total === 0 ? null : done / total}
            tone={state.phase === 'verifying' ? 'verify' : 'work'}
          />
          <p className="status-line quiet">
            {total === null
              ? bytes(done)
              : t('lab.machine.progress', { done: bytes(done), total: bytes(total) })}
            {rate === null ? null : <span>{t('lab.machine.rate', { rate: bytes(rate) })}</span>}
            {state.disk === null ? null : <span>{state.disk.serial ?? state.disk.path}</span>}
          </p>
        </>
      )}
      {failure === null ? null : (
        <Note kind="bad">
          <p>
            <strong>{failure.message}</strong> {failure.advice}{' '}
            <span className="code">{t('lab.trouble.code', { code: failure.code })}</span>
          </p>
        </Note>
      )}
    </section>
  );
}

function Glance({ machine }: { readonly machine: Machine }) {
  const { t } = useTranslation();
  const { mac, last_seen_ip, last_seen_at, last_flashed_at, discovered_at, smbios_serial, smbios_uuid } =
    machine;
  const board = smbios_serial ?? smbios_uuid;
  return (
    <Card title={t('lab.machine.facts')}>
      <Facts
        facts={[
          { name: t('lab.machines.mac'), value: <span className="mono">{mac}</span> },
          { name: t('lab.machine.address'), value: last_seen_ip ?? t('lab.common.unknown') },
          { name: t('lab.machine.seen'), value: <Time at={last_seen_at} /> },
          { name: t('lab.machine.flashed'), value: <Time at={last_flashed_at} /> },
          { name: t('lab.machine.discovered'), value: <Time at={discovered_at} /> },
          ...(board === null
            ? []
            : [{ name: t('lab.machine.board'), value: <span className="mono">{board}</span> }]),
        ]}
      />
    </Card>
  );
}
