import { useEffect, useState } from 'react';
import { Trans } from 'react-i18next';
import { BoltIcon } from '../icons.tsx';
import { Button } from '../parts/Button.tsx';
import { Choice } from '../parts/Choice.tsx';
import { useSettled } from '../parts/useSettled.ts';
import { useText } from '../parts/useText.ts';
import { changeSettings, flash, imageOf, needOf, pickedDisks, useStore } from '../store.ts';
import { DiskPane } from './DiskPane.tsx';
import { describeDisk } from './DiskRow.tsx';
import { ImagePane } from './ImagePane.tsx';

/** Image on the left, disks on the right, what will happen below. */
export function ChooseScreen() {
  const { t } = useText();
  const chosen = useStore((state) => state.image);
  // In a small window the disks are below the image, and would not be seen to be next.
  useEffect(() => {
    if (chosen.kind !== 'image' || chosen.byLink) return;
    const { problem, warnings } = chosen.image;
    if (problem === null && warnings.length === 0)
      document.getElementById('disks-title')?.scrollIntoView({ block: 'start' });
  }, [chosen]);
  return (
    <>
      <h1 id="screen-title" className="for-readers">
        {t('nav.flash')}
      </h1>
      <div className="panes">
        <ImagePane />
        <DiskPane />
      </div>
      <Review />
    </>
  );
}

function Review() {
  const { t } = useText();
  const state = useStore();
  const [meant, setMeant] = useState(false);
  const image = imageOf(state);
  const disks = pickedDisks(state);
  const ready = image !== null && image.problem === null && disks.length > 0;
  const system = disks.some((disk) => disk.system);
  const settled = useSettled(disks.map(({ id }) => id).join(), state.touched);
  return (
    <section className="review" aria-label={t('review.label')}>
      <div className="review-words">
        <p className={ready ? 'review-sentence' : 'review-sentence review-idle'} aria-live="polite">
          {ready ? <Sentence /> : t(waitingFor(state.image.kind))}
        </p>
        {ready && system ? (
          <label className="meant">
            <input type="checkbox" checked={meant} onChange={(event) => setMeant(event.target.checked)} />
            <span>{t('review.system')}</span>
          </label>
        ) : null}
      </div>
      <div className="review-actions">
        <Choice
          hidden
          label={t('verify.label')}
          value={state.settings.verify}
          options={(['full', 'written', 'none'] as const).map((key) => ({ key, text: t(`verify.${key}`) }))}
          onChange={(verify) => void changeSettings({ verify })}
        />
        <Button
          look="primary"
          icon={<BoltIcon size={18} />}
          isDisabled={!ready || !settled || (system && !meant)}
          onPress={() => void flash(system && meant)}
        >
          {disks.length > 1 ? t('review.flashMany', { count: disks.length }) : t('review.flash')}
        </Button>
      </div>
    </section>
  );
}

function waitingFor(kind: 'none' | 'looking' | 'image') {
  if (kind === 'none') return 'review.needImage';
  return kind === 'looking' ? 'review.waiting' : 'review.needDisk';
}

/** "Write debian-12.img.zst (2.0 GB) to SanDisk Ultra 32 GB, serial …4F2A. Everything on it will be lost." */
function Sentence() {
  const { t, bytes } = useText();
  const state = useStore();
  const image = imageOf(state);
  const disks = pickedDisks(state);
  const need = needOf(image);
  const values = {
    image: image?.name ?? '',
    size: need === null ? t('common.unknownSize') : bytes(need),
    disk: disks.map((disk) => describeDisk(disk, t, bytes)).join('; '),
    count: disks.length,
  };
  const form = disks.length > 1 ? 'writeMany' : disks[0]?.kind === 'virtual' ? 'writeVirtual' : 'write';
  return (
    <Trans i18nKey={`review.${form}`} values={values} components={{ b: <strong /> }} shouldUnescape={false} />
  );
}
