import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { ImageEntry } from '../../../shared/contract/image.ts';
import type { Machine } from '../../../shared/contract/machine.ts';
import type { RolloutRow } from '../../../shared/contract/rollout.ts';
import { wavesOf } from '../../../shared/lab/rollout.ts';
import { Bar } from '../parts/Bar.tsx';
import { Button } from '../parts/Button.tsx';
import { Asked } from './parts/Asked.tsx';
import { Confirm } from './parts/Confirm.tsx';
import { Card } from './parts/Page.tsx';
import { Pick } from './parts/Pick.tsx';
import { cancelRollout, dismissRollout, startRollout, useRollouts } from './rollouts.ts';
import { useLab } from './store.ts';

interface Props {
  readonly machines: readonly Machine[];
  readonly images: readonly ImageEntry[];
  readonly onClose: () => void;
}

const shares = ['0', '0.05', '0.1', '0.25'] as const;

/** Asks which image to roll out to the selected machines. */
export function RolloutSheet({ machines, images, onClose }: Props) {
  const { t, i18n } = useTranslation();
  const bindable = images.filter(({ sha256 }) => sha256 !== null);
  // None is chosen for a person: the wrong one would be written to all of them.
  const [image, setImage] = useState('');
  const [allowed, setAllowed] = useState<(typeof shares)[number]>('0.1');
  const count = machines.length;
  const waves = wavesOf(count);
  const percent = new Intl.NumberFormat(i18n.language, { style: 'percent' });
  return (
    <Confirm
      danger
      title={t('lab.rollout.title')}
      act={t('lab.rollout.start')}
      typed={String(count)}
      isReady={image !== ''}
      onAct={() => startRollout(image, machines, Number(allowed))}
      onClose={onClose}
    >
      <p>{t('lab.rollout.text')}</p>
      <Pick
        label={t('lab.rollout.image')}
        value={image}
        options={[
          { key: '', text: t('lab.rollout.choose') },
          ...bindable.map((one) => ({ key: one.sha256 ?? '', text: one.name })),
        ]}
        onChange={setImage}
      />
      <Pick
        label={t('lab.rollout.allowed')}
        value={allowed}
        options={shares.map((key) => ({
          key,
          text: t('lab.rollout.share', { percent: percent.format(Number(key)) }),
        }))}
        onChange={setAllowed}
      />
      {waves.length > 2 ? (
        <p className="quiet">{t('lab.rollout.waves', { some: waves[1] ?? 1, count })}</p>
      ) : null}
      <p>{t('lab.rollout.typed')}</p>
    </Confirm>
  );
}

/** How roll-outs are going, where there are some. */
export function RolloutCards() {
  const rollouts = useRollouts();
  return rollouts.map((rollout) => <RolloutCard key={rollout.id} rollout={rollout} />);
}

function RolloutCard({ rollout }: { readonly rollout: RolloutRow }) {
  const { t } = useTranslation();
  const operates = useLab(({ scope }) => scope !== 'read');
  const { id, state, image_name, machines: count, wave, waves, tried, done, failed, left } = rollout;
  const title = t('lab.rollout.running', { image: image_name });
  return (
    <Card
      title={title}
      actions={
        state !== 'running' ? (
          <Button onPress={() => dismissRollout(id)}>{t('lab.rollout.dismiss')}</Button>
        ) : operates ? (
          <Asked
            title={t('lab.rollout.cancelTitle', { image: image_name })}
            text={t('lab.rollout.cancelText')}
            act={t('lab.rollout.cancel')}
            onAct={() => cancelRollout(id)}
          >
            {(open) => (
              <Button look="danger" onPress={open}>
                {t('lab.rollout.cancel')}
              </Button>
            )}
          </Asked>
        ) : null
      }
    >
      <Bar label={title} share={(done + failed) / Math.max(1, count)} />
      <p role="status">
        {state === 'running' && t('lab.rollout.wave', { wave: wave + 1, waves: waves.length, done, count })}
        {state === 'stopped' && t('lab.rollout.stopped', { failed, tried, left })}
        {state === 'cancelled' && t('lab.rollout.cancelled', { left })}
        {state === 'finished' && t('lab.rollout.finished', { done, failed })}
        {state === 'running' && failed > 0 ? `, ${t('lab.rollout.failed', { count: failed })}` : ''}
      </p>
      {state === 'running' ? <p className="quiet">{t('lab.rollout.hint')}</p> : null}
    </Card>
  );
}
