import { useState } from 'react';
import { type BatchState, isUntouched, type Lane, lanesOf, worstOf } from '../../../shared/app/batch.ts';
import { commandFor } from '../../../shared/app/command.ts';
import type { AppDisk } from '../../../shared/app/disk.ts';
import { reportOf } from '../../../shared/app/report.ts';
import { ask } from '../client.ts';
import {
  BoltIcon,
  CheckIcon,
  CopyIcon,
  RetryIcon,
  SaveIcon,
  StopIcon,
  TerminalIcon,
  WarnIcon,
} from '../icons.tsx';
import { Button } from '../parts/Button.tsx';
import { useText } from '../parts/useText.ts';
import { addDisks, again, attempt, forgetImage, leave, useStore } from '../store.ts';
import { LaneRow } from './LaneRow.tsx';

export function ResultScreen({ batch }: { readonly batch: BatchState }) {
  const { t } = useText();
  const lanes = lanesOf(batch);
  const worst = worstOf(lanes, batch.verify);
  const done = lanes.filter(({ outcome }) => outcome === 'done').length;
  const failed = lanes.filter(({ outcome }) => outcome === 'failed').length;
  const headline = worst === 'cancelled' && done === 0 ? 'cancelledAll' : worst;
  const hint = lanes.every(isUntouched) ? 'untouched' : worst;
  return (
    <>
      <div className="scroll">
        <div className="column">
          <div className={`verdict verdict-${worst}`}>
            <span className="verdict-icon" aria-hidden="true">
              {worst === 'failed' ? <WarnIcon size={36} /> : null}
              {worst === 'cancelled' ? <StopIcon size={36} /> : null}
              {worst === 'done' || worst === 'unverified' ? <CheckIcon size={36} /> : null}
            </span>
            <div role="status">
              <h1 id="screen-title" className="title">
                {t(`result.${headline}`, { count: lanes.length, done, failed })}
              </h1>
              <p className="verdict-image">{batch.image.name}</p>
              <p className="verdict-hint">{t(`result.hints.${hint}`)}</p>
            </div>
          </div>
          <ul className="lanes">
            {lanes.map((lane) => (
              <LaneRow key={lane.disk.path} lane={lane} verify={batch.verify} />
            ))}
          </ul>
          <Notices batch={batch} />
          <Report batch={batch} lanes={lanes} />
        </div>
      </div>
      <Actions batch={batch} lanes={lanes} />
    </>
  );
}

function Notices({ batch }: { readonly batch: BatchState }) {
  const notices = [...new Set(batch.jobs.flatMap((job) => job.flash.notices))];
  if (notices.length === 0) return null;
  return (
    <ul className="notices">
      {notices.map((notice) => (
        <li key={notice}>{notice}</li>
      ))}
    </ul>
  );
}

/** What a person may hand on. Nothing is sent by itself. */
function Report({ batch, lanes }: { readonly batch: BatchState; readonly lanes: readonly Lane[] }) {
  const { t } = useText();
  const about = useStore((state) => state.about);
  const [said, setSaid] = useState('');
  const copy = (text: string) =>
    void attempt(async () => {
      await ask('text.copy', { text });
      setSaid(t('result.copied'));
    });
  const save = () =>
    void attempt(async () => {
      if (await ask('report.save', { text: reportOf(batch, about) })) setSaid(t('result.saved'));
    });
  const command = commandFor(
    batch.image,
    lanes.map(({ disk }) => disk),
    batch,
    about.privileged,
  );
  return (
    <div className="report">
      <Button look="quiet" icon={<CopyIcon size={18} />} onPress={() => copy(reportOf(batch, about))}>
        {t('result.copyReport')}
      </Button>
      <Button look="quiet" icon={<SaveIcon size={18} />} onPress={save}>
        {t('result.saveReport')}
      </Button>
      <Button look="quiet" icon={<TerminalIcon size={18} />} onPress={() => copy(command)}>
        {t('result.copyCommand')}
      </Button>
      <span className="said" role="status">
        {said}
      </span>
    </div>
  );
}

function Actions({ batch, lanes }: { readonly batch: BatchState; readonly lanes: readonly Lane[] }) {
  const { t } = useText();
  const state = useStore();
  const failed = lanes.filter(({ outcome }) => outcome === 'failed');
  const present = failed.flatMap(({ disk }) => again(disk, state) ?? []);
  const closed = lanes.filter(({ failure }) => failure?.code === 'ELEVATION_DISMISSED');
  const askable = closed.flatMap(({ disk }) => again(disk, state) ?? []);
  const isCut = failed.some(({ failure }) => failure?.code === 'IMAGE_CUT');
  const write = (disks: readonly AppDisk[], allowCut: boolean) =>
    void addDisks({
      disks: disks.map(({ id }) => id),
      verify: batch.verify,
      allowSystem: disks.some(({ system }) => system),
      allowCut,
    });
  return (
    <div className="actions">
      <Button
        look="quiet"
        onPress={() => {
          void leave().then(forgetImage);
        }}
      >
        {t('result.newImage')}
      </Button>
      <span className="grow" />
      {failed.length > 0 && present.length < failed.length ? (
        <span className="quiet">{t('result.gone')}</span>
      ) : null}
      {isCut ? (
        <Button look="danger" isDisabled={present.length === 0} onPress={() => write(present, true)}>
          {t('result.writeCut')}
        </Button>
      ) : null}
      {failed.length > 0 ? (
        <Button
          icon={<RetryIcon size={18} />}
          isDisabled={present.length === 0}
          onPress={() => write(present, batch.allowCut)}
        >
          {t('result.retry', { count: failed.length })}
        </Button>
      ) : null}
      {closed.length > 0 ? (
        <Button
          icon={<RetryIcon size={18} />}
          isDisabled={askable.length === 0}
          onPress={() => write(askable, batch.allowCut)}
        >
          {t('result.askAgain')}
        </Button>
      ) : null}
      <Button look="primary" icon={<BoltIcon size={18} />} onPress={() => void leave()}>
        {t('result.another')}
      </Button>
    </div>
  );
}
