import { useEffect, useRef, useState } from 'react';
import { type BatchState, type Lane, lanesOf, shareOf, shareOfBatch } from '../../../shared/app/batch.ts';
import { ask } from '../client.ts';
import { LockIcon, PlusIcon, SkipIcon, StopIcon } from '../icons.tsx';
import { Bar } from '../parts/Bar.tsx';
import { Button } from '../parts/Button.tsx';
import { Chart } from '../parts/Chart.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, useStore } from '../store.ts';
import { describeDisk } from './DiskRow.tsx';
import { LaneRow, phaseOf, toneOf } from './LaneRow.tsx';

export function ProgressScreen({ batch }: { readonly batch: BatchState }) {
  const { t, percent } = useText();
  const lanes = lanesOf(batch);
  const share = shareOfBatch(batch);
  const asking = lanes.every(({ stage }) => stage === 'asking' || stage === 'finished');
  return (
    <>
      <div className="scroll">
        <div className="column">
          <div className="progress-head">
            <h1 id="screen-title" className="title">
              {asking ? t('progress.asking') : t('progress.writing', { image: batch.image.name })}
            </h1>
            {asking || share === null ? null : <span className="huge">{percent(share)}</span>}
          </div>
          {asking ? (
            <div className="asking">
              <span className="asking-icon">
                <LockIcon size={32} />
              </span>
              <p>{t('progress.askingHint')}</p>
            </div>
          ) : (
            <Bar label={t('progress.writing', { image: batch.image.name })} share={share} />
          )}
          <ul className="lanes">
            {lanes.map((lane) => (
              <LaneRow key={lane.disk.path} lane={lane} verify={batch.verify} />
            ))}
          </ul>
          {asking ? null : <Chart lanes={lanes} />}
          <Announcer lanes={lanes} batch={batch} />
        </div>
      </div>
      <Actions batch={batch} lanes={lanes} />
    </>
  );
}

function Actions({ batch, lanes }: { readonly batch: BatchState; readonly lanes: readonly Lane[] }) {
  const { t } = useText();
  const running = batch.jobs.filter(({ stage }) => stage !== 'finished');
  // Two questions of the system at a time would confuse.
  const asking = running.some(({ stage }) => stage === 'asking');
  const cancelling = running.length > 0 && running.every((job) => job.cancelling);
  const skipping = running.some((job) => job.skipping);
  const verifying = batch.verify !== 'none' && lanes.some(({ stage }) => stage === 'working');
  const each = (operation: 'flash.cancel' | 'flash.skip') =>
    void attempt(async () => {
      for (const { id } of running) await ask(operation, { job: id });
    });
  return (
    <div className="actions">
      <Button
        look="quiet"
        icon={<PlusIcon size={18} />}
        isDisabled={cancelling || asking}
        onPress={() => useStore.setState({ sheet: 'add' })}
      >
        {t('progress.add')}
      </Button>
      <span className="grow" />
      {verifying ? (
        <Button
          icon={<SkipIcon size={18} />}
          isDisabled={skipping || cancelling}
          onPress={() => each('flash.skip')}
        >
          {skipping ? t('progress.skipping') : t('progress.skip')}
        </Button>
      ) : null}
      <Button
        look="danger"
        icon={<StopIcon size={18} />}
        isDisabled={cancelling}
        onPress={() => each('flash.cancel')}
      >
        {cancelling ? t('progress.cancelling') : t('progress.cancel')}
      </Button>
    </div>
  );
}

/** Tells screen readers each new phase and each quarter of a disk, and no more than that. */
function Announcer({ lanes, batch }: { readonly lanes: readonly Lane[]; readonly batch: BatchState }) {
  const { t, bytes, percent } = useText();
  const told = useRef(new Map<string, string>());
  const [news, setNews] = useState('');
  useEffect(() => {
    for (const lane of lanes) {
      const share = shareOf(lane, batch.verify) ?? 0;
      const mark = `${lane.stage} ${phaseOf(lane)} ${Math.floor(share * 4)}`;
      if (told.current.get(lane.disk.path) === mark) continue;
      told.current.set(lane.disk.path, mark);
      const disk = describeDisk(lane.disk, t, bytes);
      const tone = toneOf(lane);
      setNews(
        tone === 'work' || tone === 'verify'
          ? t('progress.announce', {
              disk,
              phase: t(`progress.phases.${phaseOf(lane)}`),
              percent: percent(share),
            })
          : t('progress.ended', { disk, outcome: t(`result.lane.${tone}`) }),
      );
    }
  });
  return (
    <p className="for-readers" role="status">
      {news}
    </p>
  );
}
