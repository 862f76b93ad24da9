import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import type { Machine } from '../../../../shared/contract/machine.ts';
import type { Overview } from '../../../../shared/contract/system.ts';
import { checklistOf, type Item, type ReadyCheck } from '../../../../shared/lab/checklist.ts';
import { type Phase as Phases, phases } from '../../../../shared/machine/life.ts';
import { CheckIcon, WarnIcon } from '../../icons.tsx';
import { Bar } from '../../parts/Bar.tsx';
import { useText } from '../../parts/useText.ts';
import { useAnswer } from '../answer.ts';
import { ask, askWhole, Refusal } from '../api.ts';
import { EventList } from '../EventList.tsx';
import { Card, Page } from '../parts/Page.tsx';
import { Phase } from '../parts/Phase.tsx';
import { Refused } from '../parts/Refused.tsx';
import { Time } from '../parts/Time.tsx';
import { RolloutCards } from '../Rollout.tsx';
import { toldHere } from '../words.ts';

/** What is missing, what runs, what failed. */
export function DashboardPage() {
  const { t } = useTranslation();
  const { value: overview, refusal, again } = useOverview();
  return (
    <Page
      title={t('lab.dashboard.title')}
      lead={
        overview === undefined ? null : (
          <p className="quiet">
            {t('lab.dashboard.since')} <Time at={overview.started_at} />
          </p>
        )
      }
    >
      {refusal === null ? null : <Refused refusal={refusal} again={again} />}
      <RolloutCards />
      {overview === undefined ? null : (
        <>
          <Checklist images={overview.images} />
          <States overview={overview} />
          <div className="columns">
            <div className="column-main">
              <Running machines={overview.flashing} />
              <More overview={overview} shown={overview.flashing.length} of={atWork} />
              <Failing machines={overview.failing} />
              <More overview={overview} shown={overview.failing.length} of={inTrouble} />
              <FailedTasks />
            </div>
            <LastEvents />
          </div>
        </>
      )}
    </Page>
  );
}

export function useOverview() {
  return useAnswer('overview', () => ask('GET /overview'), ['machine', 'images']);
}

/** Not ready is an answer too, with its reasons. */
async function readiness(): Promise<readonly ReadyCheck[]> {
  const answer = await fetch('/readyz').catch(() => null);
  if (answer === null || (answer.status !== 200 && answer.status !== 503))
    throw new Refusal(answer?.status ?? 0, '', 'UNREACHABLE');
  return ((await answer.json()) as { readonly checks: readonly ReadyCheck[] }).checks;
}

export function useChecklist(images: number): readonly Item[] | null {
  const { value: ready } = useAnswer('ready', readiness, ['images', 'job', 'notice']);
  const { value: dhcp } = useAnswer('dhcp', () => ask('GET /dhcp'), ['notice']);
  const { language } = useTranslation().i18n;
  if (ready === undefined || dhcp === undefined) return null;
  const here = dhcp.map((state) => {
    const { problem, code, advice, details } = state;
    if (problem === null) return state;
    return {
      ...state,
      problem: toldHere(language, { code, message: problem, advice: advice ?? '', details }).message,
    };
  });
  return checklistOf({ ready, dhcp: here, images });
}

function Checklist({ images }: { readonly images: number }) {
  const { t } = useTranslation();
  const items = useChecklist(images);
  if (items === null) return null;
  const missing = items.filter(({ ok }) => !ok).length;
  return (
    <Card
      title={t('lab.dashboard.checklist')}
      actions={
        missing === 0 ? null : (
          <Link href="/setup" className="button button-primary">
            {t('lab.dashboard.setUp')}
          </Link>
        )
      }
    >
      <p className={missing === 0 ? 'quiet' : ''}>
        {missing === 0 ? t('lab.dashboard.allReady') : t('lab.dashboard.notReady', { count: missing })}
      </p>
      <ul className="checks">
        {items
          .filter(({ ok }) => missing > 0 || !ok)
          .map((item) => (
            <Check key={item.title} item={item} />
          ))}
      </ul>
    </Card>
  );
}

function Check({ item: { name, title, ok, reason, fix } }: { readonly item: Item }) {
  const { t } = useTranslation();
  return (
    <li className={ok ? 'check' : 'check check-missing'}>
      {ok ? <CheckIcon size={18} /> : <WarnIcon size={18} />}
      <div className="check-words">
        <p>{name === null ? title : t(`lab.dashboard.checks.${name}`)}</p>
        {reason === null ? null : (
          <p className="check-reason" lang={reason.kind === 'told' ? 'en' : undefined}>
            {reason.kind === 'told' ? reason.text : t(`lab.dashboard.${reason.key}`, reason.values)}
          </p>
        )}
      </div>
      {ok || name === null ? null : (
        <Link href={fix} className="link">
          {t(`lab.dashboard.fixes.${name}`)}
        </Link>
      )}
    </li>
  );
}

function States({ overview }: { readonly overview: Overview }) {
  const { t } = useTranslation();
  const shown = phases.filter((phase) => (overview.phases[phase] ?? 0) > 0);
  return (
    <Card
      title={t('lab.dashboard.states')}
      actions={
        <Link href="/machines" className="link">
          {t('lab.dashboard.allMachines')}
        </Link>
      }
    >
      {overview.machines === 0 ? <p className="quiet">{t('lab.dashboard.noMachines')}</p> : null}
      <ul className="tiles">
        {overview.machines === 0 ? null : (
          <li>
            <Link href="/machines" className="tile">
              <strong>{overview.machines}</strong>
              <span className="quiet">{t('lab.dashboard.total')}</span>
            </Link>
          </li>
        )}
        {shown.map((phase) => (
          <li key={phase}>
            <Link href={`/machines?phase=${phase}`} className="tile">
              <strong>{overview.phases[phase]}</strong>
              <Phase phase={phase} />
            </Link>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Running({ machines }: { readonly machines: readonly Machine[] }) {
  const { t, bytes } = useText();
  return (
    <Card title={t('lab.dashboard.flashing')}>
      {machines.length === 0 ? <p className="quiet">{t('lab.dashboard.noFlashing')}</p> : null}
      <ul className="parts">
        {machines.map(({ mac, hostname, state }) => (
          <li key={mac} className="run">
            <Link href={`/machines/${mac}`} className="link">
              {hostname ?? mac}
            </Link>
            <Phase phase={state.phase} />
            <Bar
              label={`${hostname ?? mac}: ${t(`lab.phases.${state.phase}`)}`}
              share={state.bytes === null || !state.total ? null : state.bytes / state.total}
              tone={state.phase === 'verifying' ? 'verify' : 'work'}
            />
            <span className="quiet run-rate">
              {state.rate === null ? '' : t('lab.machine.rate', { rate: bytes(state.rate) })}
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** The phases of which the overview names machines, and no more than some of each. */
const atWork: readonly Phases[] = ['booting', 'preparing', 'writing', 'verifying', 'rebooting'];
const inTrouble: readonly Phases[] = ['failed', 'stopped'];

interface MoreProps {
  readonly overview: Overview;
  readonly shown: number;
  readonly of: readonly Phases[];
}

/** Where those are that are not named. */
function More({ overview, shown, of }: MoreProps) {
  const { t } = useTranslation();
  const count = of.reduce((sum, phase) => sum + (overview.phases[phase] ?? 0), 0) - shown;
  if (count <= 0) return null;
  return (
    <p className="more">
      <Link href={`/machines?${of.map((phase) => `phase=${phase}`).join('&')}`} className="link">
        {t('lab.dashboard.more', { count })}
      </Link>
    </p>
  );
}

function Failing({ machines }: { readonly machines: readonly Machine[] }) {
  const { t } = useTranslation();
  return (
    <Card title={t('lab.dashboard.failing')}>
      {machines.length === 0 ? <p className="quiet">{t('lab.dashboard.noFailing')}</p> : null}
      <ul className="parts">
        {machines.map(({ mac, hostname, state }) => (
          <li key={mac} className="part">
            <div className="part-words">
              <p>
                <Link href={`/machines/${mac}`} className="link">
                  {hostname ?? mac}
                </Link>{' '}
                <Phase phase={state.phase} /> <Time at={state.since} style="short" />
              </p>
              <p>{state.failure?.message}</p>
              <p className="quiet">{state.failure?.advice}</p>
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** Shown only while there are some. */
function FailedTasks() {
  const { t } = useTranslation();
  const { value } = useAnswer(
    'failed tasks',
    () => askWhole('GET /machines', { query: { task_status: 'failed', limit: 5 } }),
    ['machine'],
  );
  const count = Number(value?.headers.get('x-total-count') ?? 0);
  if (count === 0) return null;
  return (
    <Card
      title={t('lab.dashboard.failedTasks', { count })}
      actions={
        <Link href="/machines?task=failed" className="link">
          {t('lab.dashboard.allFailedTasks')}
        </Link>
      }
    >
      <ul className="parts">
        {value?.value.map(({ mac, hostname, cijoe_task_ref, last_task_run_at }) => (
          <li key={mac} className="part">
            <div className="part-words">
              <Link href={`/machines/${mac}`} className="link">
                {hostname ?? mac}
              </Link>{' '}
              {cijoe_task_ref} <Time at={last_task_run_at} style="short" />
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function LastEvents() {
  const { t } = useTranslation();
  const { value } = useAnswer('events last', () => ask('GET /events', { query: { limit: 10 } }), ['event']);
  return (
    <Card
      title={t('lab.dashboard.events')}
      actions={
        <Link href="/events" className="link">
          {t('lab.dashboard.allEvents')}
        </Link>
      }
    >
      <EventList events={value?.events ?? []} />
    </Card>
  );
}
