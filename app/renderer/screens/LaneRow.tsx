import { type Lane, shareOf, type Verify } from '../../../shared/app/batch.ts';
import { timeText } from '../format.ts';
import { CheckIcon, StopIcon, WarnIcon } from '../icons.tsx';
import { Bar } from '../parts/Bar.tsx';
import { Failed } from '../parts/Failed.tsx';
import { useText } from '../parts/useText.ts';
import { DiskIcon, describeDisk } from './DiskRow.tsx';

type Tone = 'work' | 'verify' | 'done' | 'unverified' | 'cancelled' | 'failed';

/** How a lane stands, as one word for its colour and its words. */
export function toneOf(lane: Lane): Tone {
  if (lane.outcome === 'failed' || lane.outcome === 'cancelled') return lane.outcome;
  if (lane.outcome === 'done') return lane.verified ? 'done' : 'unverified';
  return lane.target?.phase === 'verifying' || lane.target?.phase === 'settling' ? 'verify' : 'work';
}

/** What a lane does now, as a key of the words. */
export function phaseOf(lane: Lane) {
  if (lane.stage === 'asking') return 'asking';
  return lane.target?.phase ?? (lane.stage === 'finished' ? 'finished' : 'waiting');
}

/** One disk while it is written, and after. */
export function LaneRow({ lane, verify }: { readonly lane: Lane; readonly verify: Verify }) {
  const { t, bytes, percent } = useText();
  const tone = toneOf(lane);
  const share = shareOf(lane, verify);
  const name = describeDisk(lane.disk, t, bytes);
  const ended = tone === 'work' || tone === 'verify' ? null : tone;
  const state = ended ? t(`result.lane.${ended}`) : t(`progress.phases.${phaseOf(lane)}`);
  return (
    <li className={`lane lane-${tone}`}>
      <span className="lane-icon" aria-hidden="true">
        {ended ? <LaneSign tone={ended} /> : <DiskIcon disk={lane.disk} />}
      </span>
      <div className="lane-body">
        <div className="lane-line">
          <span className="lane-name">{name}</span>
          {ended || share === null ? null : <span className="lane-percent">{percent(share)}</span>}
        </div>
        {ended ? null : <Bar label={name} share={lane.stage === 'asking' ? null : share} tone={tone} />}
        <div className="lane-line lane-small">
          <span className="lane-state">{state}</span>
          <span className="lane-numbers">{ended ? <Wrote lane={lane} /> : <Pace lane={lane} />}</span>
        </div>
        {lane.failure && tone === 'failed' ? (
          <p className="lane-failure">
            <Failed failure={lane.failure} />
          </p>
        ) : null}
      </div>
    </li>
  );
}

function LaneSign({ tone }: { readonly tone: 'done' | 'unverified' | 'cancelled' | 'failed' }) {
  if (tone === 'failed') return <WarnIcon size={24} />;
  return tone === 'cancelled' ? <StopIcon size={24} /> : <CheckIcon size={24} />;
}

/** Rate, time left, and what holds it up. */
function Pace({ lane }: { readonly lane: Lane }) {
  const { t, bytes } = useText();
  const { target, bottleneck } = lane;
  if (!target || target.rate === null) return null;
  const writing = target.phase === 'writing';
  const parts = [
    t('progress.rate', { rate: bytes(target.rate) }),
    ...(target.eta === null ? [] : [t('progress.left', { time: timeText(target.eta) })]),
    ...(writing && bottleneck && target.rate > 0 ? [t(`progress.limits.${bottleneck}`)] : []),
  ];
  return <>{parts.join(' · ')}</>;
}

function Wrote({ lane }: { readonly lane: Lane }) {
  const { t, bytes, duration } = useText();
  const result = lane.target?.result;
  const seconds = result?.seconds.writing ?? 0;
  const total = result ? result.account.written + result.account.zeroed : 0;
  if (total === 0 || seconds <= 0) return null;
  return (
    <>{t('result.wrote', { bytes: bytes(total), time: duration(seconds), rate: bytes(total / seconds) })}</>
  );
}
