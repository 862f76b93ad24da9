import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { BootStory, BootSummary } from '../../../shared/contract/story.ts';
import { type Stretch, type ToldStep, timelineOf, type WireStep } from '../../../shared/lab/timeline.ts';
import { CheckIcon, CrossIcon, SaveIcon } from '../icons.tsx';
import { Note } from '../parts/Note.tsx';
import { useText } from '../parts/useText.ts';
import { useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { NetworkIcon } from './icons.tsx';
import { Empty } from './parts/Empty.tsx';
import { Card } from './parts/Page.tsx';
import { Pick } from './parts/Pick.tsx';
import { Refused } from './parts/Refused.tsx';
import { Time, timeText } from './parts/Time.tsx';

/** How the machine boots, step by step, as it happens; and why a boot stopped. */
export function BootStoryCard({ mac }: { readonly mac: string }) {
  const { t, i18n } = useTranslation();
  const [chosen, setChosen] = useState<string | null>(null);
  const { value: boots, refusal } = useAnswer(
    `boots ${mac}`,
    () => ask('GET /machines/{mac}/boots', { params: { mac }, query: { limit: 20 } }),
    ['boot-step', 'machine'],
  );
  const current = boots?.find(({ id }) => String(id) === chosen) ?? boots?.[0];
  const several = (boots?.length ?? 0) > 1;
  return (
    <Card
      title={t('lab.story.title')}
      actions={
        several && boots ? (
          <Pick
            hidden
            label={t('lab.story.which')}
            value={String(current?.id ?? '')}
            options={boots.map((boot) => ({
              key: String(boot.id),
              text: `${timeText(boot.started_at, i18n.language)} · ${t(`lab.story.${boot.diagnosis.state}`)}`,
            }))}
            onChange={setChosen}
          />
        ) : null
      }
    >
      {refusal === null ? null : <Refused refusal={refusal} />}
      {boots?.length === 0 ? (
        <Empty icon={<NetworkIcon size={32} />} title={t('lab.story.none')} hint={t('lab.story.noneHint')} />
      ) : null}
      {current ? <OneBoot key={current.id} boot={current} /> : null}
    </Card>
  );
}

function OneBoot({ boot }: { readonly boot: BootSummary }) {
  const id = String(boot.id);
  const running = boot.diagnosis.state === 'running';
  const { value: story } = useAnswer(
    `boot ${id}`,
    () => ask('GET /boots/{id}', { params: { id } }),
    running ? ['boot-step'] : ['machine'],
  );
  return story === undefined ? null : <Told story={story} />;
}

const tones = { running: 'info', done: 'info', stopped: 'bad', failed: 'bad' } as const;

function Told({ story }: { readonly story: BootStory }) {
  const { t } = useTranslation();
  const { diagnosis, hints, datagrams, dropped, started_at } = story;
  const stretches = timelineOf(story.steps as readonly WireStep[], diagnosis);
  const troubled = tones[diagnosis.state] === 'bad';
  return (
    <>
      <div className={`verdict verdict-${diagnosis.state}`} role="status">
        <p>
          <strong>{t(`lab.story.${diagnosis.state}`)}</strong>
          {': '}
          <span lang="en">{diagnosis.cause}</span>
        </p>
        {diagnosis.advice === '' ? null : (
          <p className="verdict-advice">
            <strong>{t('lab.story.advice')}</strong>
            {': '}
            <span lang="en">{diagnosis.advice}</span>
          </p>
        )}
        {troubled ? <p className="code">{t('lab.trouble.code', { code: diagnosis.code })}</p> : null}
      </div>
      <ol className="timeline">
        {stretches.map((stretch, index) => (
          <Part
            // biome-ignore lint/suspicious/noArrayIndexKey: steps are only ever added at the end
            key={index}
            stretch={stretch}
            start={started_at}
            last={index === stretches.length - 1}
          />
        ))}
      </ol>
      {dropped > 0 ? <p className="quiet">{t('lab.story.dropped', { count: dropped })}</p> : null}
      {hints.length === 0 ? null : (
        <Note kind="info">
          <strong>{t('lab.story.hints')}</strong>
          <ul>
            {hints.map((hint) => (
              <li key={hint}>{hint}</li>
            ))}
          </ul>
        </Note>
      )}
      <p className="story-foot">
        <span className="quiet">
          {t('lab.story.started')} <Time at={started_at} />
        </span>
        {datagrams > 0 ? (
          <a className="link" href={`/boots/${story.id}.pcap`} download title={t('lab.story.packetsHint')}>
            <SaveIcon size={16} /> {t('lab.story.packets', { count: datagrams })}
          </a>
        ) : null}
      </p>
    </>
  );
}

interface PartProps {
  readonly stretch: Stretch;
  readonly start: string;
  readonly last: boolean;
}

function Part({ stretch, start, last }: PartProps) {
  const { t, duration } = useText();
  const { station, again, from, to, state, steps } = stretch;
  const name = again && station === 'network' ? 'networkAgain' : station;
  const seconds = (Date.parse(to) - Date.parse(from)) / 1000;
  const since = (Date.parse(from) - Date.parse(start)) / 1000;
  return (
    <li className={`stretch stretch-${state}`}>
      <span className="stretch-mark" aria-hidden="true">
        {state === 'done' ? <CheckIcon size={14} /> : state === 'failed' ? <CrossIcon size={14} /> : null}
      </span>
      <details open={last && state !== 'done'}>
        <summary>
          <span className="stretch-name">{t(`lab.story.stations.${name}`)}</span>
          <span className="quiet">
            {t('lab.story.after', { time: duration(since) })} ·{' '}
            {t('lab.story.steps', { count: steps.length })}
            {seconds >= 0.1 ? ` · ${duration(seconds)}` : ''}
          </span>
        </summary>
        <ul className="steps">
          {steps.map((step, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: steps are only ever added at the end
            <Step key={index} step={step} />
          ))}
        </ul>
      </details>
    </li>
  );
}

function Step({ step }: { readonly step: ToldStep }) {
  const { t } = useTranslation();
  const { at, kind, values, tone, reasons } = step;
  return (
    <li className={`step step-${tone}`}>
      <Time at={at} style="clock" />
      <span>
        {t(`lab.steps.${kind}` as 'lab.steps.agent', { defaultValue: kind, ...values })}
        {reasons.length === 0 ? null : (
          <span className="step-reasons" lang="en">
            {reasons.join('; ')}
          </span>
        )}
      </span>
    </li>
  );
}
